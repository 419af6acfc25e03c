/** The workers of `examples/`, run with the simulator and a service that requires a key. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCaratClient } from '../../src/carat/index.ts';
import { createSimulator, type Simulator } from '../../src/simulator/simulator.ts';
import { ROOT } from '../support/build.ts';
import { RestartableService } from '../support/restartable-service.ts';
import { interpret } from '../support/run.ts';

const SCHEDULE = { amount: 4990, initial_date: '03/08/2030', number_of_times: 12, interval: 1 };
const MERCHANT = { merchantId: 'LOJA1', merchantKey: 'CHAVE0123456789' };

let service: RestartableService;
let simulator: Simulator;
let folder: string;
let env: Record<string, string>;
beforeAll(async () => {
  service = await RestartableService.start({ WORKER_API_KEYS: 'a-key-of-the-tests', ACCEPT: 'expected' });
  simulator = createSimulator({ authenticityUrl: service.authenticityUrl });
  const url = await simulator.listen();
  folder = await mkdtemp(join(tmpdir(), 'examples-'));
  env = {
    SIMULATOR_URL: url,
    CARAT_URL: simulator.addresses().portal,
    WORKER_URL: service.workerUrl,
    WORKER_API_KEY: 'a-key-of-the-tests',
  };
});
afterAll(async () => {
  await simulator.close();
  await service.stop();
  await rm(folder, { recursive: true });
});

/** A schedule that can be edited. */
async function activeSchedule(): Promise<string> {
  const client = createCaratClient({ environment: 'homologation', ...MERCHANT, addresses: simulator.addresses() });
  const what = { merchant_usn: '100', order_id: 'T-1', authorizer_id: '2', schedule: SCHEDULE };
  const sid = (await client.schedules.create(what)).schedule?.sid ?? '';
  await client.schedules.activate({ sid, card: { number: '5555555555555555', expiry_date: '1230' } });
  return sid;
}

interface Example {
  file: string;
  args: () => Promise<string[]>;
  says: string;
}
const edit = (file: string): Example => ({
  file,
  args: async () => [await activeSchedule(), '6990'],
  says: 'edited: CON, amount 6990',
});
const EXAMPLES: Record<string, Example[]> = {
  node: [
    edit('edit-schedule.mjs'),
    { file: 'edit-schedule.mjs', args: async () => ['new'], says: 'edited: CON, amount 5990' },
    { file: 'recharge.mjs', args: async () => [join(folder, 'notes'), '2398'], says: 'recharge 2398: confirmed CON' },
    { file: 'generic-operation.mjs', args: async () => ['100'], says: 'done at attempt 1: code 0' },
  ],
  python3: [
    edit('edit_schedule.py'),
    { file: 'generic_operation.py', args: async () => ['job-1'], says: 'done: code 0' },
  ],
  php: [
    edit('edit-schedule.php'),
    { file: 'generic-operation.php', args: async () => ['job-2'], says: 'done: code 0' },
  ],
};

describe.each(Object.entries(EXAMPLES))('%s', (interpreter, examples) => {
  it.each(examples)('$file prints $says', async ({ file, args, says }) => {
    const ran = await interpret(interpreter, [join(ROOT, 'examples', file), ...(await args())], {
      ...env,
      PYTHONDONTWRITEBYTECODE: '1',
    });
    expect(ran).toEqual({ code: 0, out: `${says}\n`, error: '' });
  });

  it.each(examples)('$file prints its usage and exits 2 without arguments', async ({ file }) => {
    const ran = await interpret(interpreter, [join(ROOT, 'examples', file)], { ...env, PYTHONDONTWRITEBYTECODE: '1' });
    expect(ran).toMatchObject({ code: 2, out: '', error: expect.stringContaining(`usage: ${file}`) });
  });

  it.each(examples)('$file reports a refusal of Carat and stops', async ({ file, args }) => {
    const given = await args();
    for (const call of ['scheduleEdits.begin', 'recharges.begin', 'genericOperations.askToken']) {
      simulator.plan({ fault: 'denied', call, value: undefined, times: 9 });
    }
    const ran = await interpret(interpreter, [join(ROOT, 'examples', file), ...given], {
      ...env,
      PYTHONDONTWRITEBYTECODE: '1',
    });
    await fetch(`${simulator.url}/simulator/faults`, { method: 'DELETE', headers: { connection: 'close' } });
    expect(ran.code).not.toBe(0);
    expect(ran.out).toBe('');
    expect(ran.error).not.toBe('');
  });
});
