/** The programs `ask` of `examples/`, one for each language: every flow by one call, against the simulator. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createCaratClient } from '../../src/carat/index.ts';
import { createSimulator, type Simulator } from '../../src/simulator/simulator.ts';
import { ROOT } from '../support/build.ts';
import { activeSchedule, NEW_PAYMENT, PLAIN_CARD } from '../support/carat.ts';
import { RestartableService } from '../support/restartable-service.ts';
import { interpret, type Ran } from '../support/run.ts';

const MERCHANT = { merchantId: 'LOJA1', merchantKey: 'CHAVE0123456789' };
const LANGUAGES = {
  'ask.sh': 'sh',
  'ask.mjs': 'node',
  'ask.py': 'python3',
  'ask.php': 'php',
  'Ask.java': 'java',
};
type Program = keyof typeof LANGUAGES;
const PROGRAMS = Object.keys(LANGUAGES) as Program[];
/** Written for a compiler that the tests do not have. */
const NOT_RUN = 'Ask.cs';

let service: RestartableService;
let simulator: Simulator;
let env: Record<string, string>;
beforeEach(async () => {
  simulator = createSimulator({ authenticityUrl: 'http://127.0.0.1:1/' });
  const url = await simulator.listen();
  const { portal, recharge } = simulator.addresses();
  service = await RestartableService.start({
    WORKER_API_KEYS: 'a-key-of-the-tests',
    ACCEPT: 'expected',
    CARAT_CREDENTIALS: `default=${MERCHANT.merchantId}:${MERCHANT.merchantKey}`,
    CARAT_API_URL: portal,
    CARAT_RECHARGE_URL: recharge,
  });
  simulator.postTo(service.authenticityUrl);
  env = {
    SIMULATOR_URL: url,
    CARAT_URL: portal,
    CARAT_RECHARGE_URL: recharge,
    WORKER_URL: service.workerUrl,
    WORKER_API_KEY: 'a-key-of-the-tests',
    PYTHONDONTWRITEBYTECODE: '1',
  };
});
afterEach(async () => {
  await service.stop();
  await simulator.close();
});

const ask = (program: Program, ...args: string[]): Promise<Ran> =>
  interpret(LANGUAGES[program], [join(ROOT, 'examples', program), ...args], env);
const carat = () => createCaratClient({ environment: 'homologation', ...MERCHANT, addresses: simulator.addresses() });
const said = (out: string): Ran => ({ code: 0, out: `${out}\n`, error: '' });
const refused = (code: number): object => ({ code, out: '', error: expect.stringMatching(/./) });
let usn = 0;
const nextUsn = (): string => {
  usn += 1;
  return String(usn);
};

it('exists for each language', () => {
  const there = readdirSync(join(ROOT, 'examples')).filter((file) => /^ask\./i.test(file));
  expect(there.sort()).toEqual([...PROGRAMS, NOT_RUN].sort());
});

it('has the same flows and exit codes in all languages', () => {
  for (const file of [...PROGRAMS, NOT_RUN]) {
    const text = readFileSync(join(ROOT, 'examples', file), 'utf8');
    expect(text).toContain('schedule-edit SID AMOUNT');
    expect(text).toContain('recharge USN DDD NUMBER AMOUNT');
    expect(text).toContain('generic-operation OPERATION');
    expect(text).toContain('cancellation ESITEF_USN USN AMOUNT');
    expect(text).toContain('Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no token came.');
  }
});

describe.each(PROGRAMS)('%s', (program) => {
  it('edits a schedule', async () => {
    const sid = await activeSchedule(carat());
    expect(await ask(program, 'schedule-edit', sid, '6990')).toEqual(said('edited: CON, amount 6990'));
  });

  it('recharges a phone and confirms it', async () => {
    const one = nextUsn();
    const ran = await ask(program, 'recharge', one, '11', '987654321', '1500');
    expect(ran).toEqual(said(`recharge ${one}: confirmed CON`));
  });

  it('undoes a recharge whose answer was lost', async () => {
    simulator.plan({ fault: 'closed-connection', call: 'recharges.effect' });
    const one = nextUsn();
    const { code, out } = await ask(program, 'recharge', one, '11', '987654321', '1500');
    expect([code, out]).toEqual([0, `recharge ${one}: undone PPN\n`]);
  });

  it('runs a generic operation', async () => {
    expect(await ask(program, 'generic-operation', '100')).toEqual(said('done: code 0'));
  });

  it('cancels a payment', async () => {
    const one = nextUsn();
    const client = carat();
    const { payment } = await client.schedules.createWithPayment({ ...NEW_PAYMENT, merchant_usn: one });
    const nit = String((payment as { nit?: string }).nit);
    const paid = await client.schedules.pay({ nit, card: { ...PLAIN_CARD, security_code: '123' } });
    const ran = await ask(program, 'cancellation', String(paid.payment?.['esitef_usn']), one, '1000');
    expect(ran).toEqual(said('cancelled: CON'));
  });

  it('exits with 1 when Carat refuses, and prints the usage and exits with 2 for wrong arguments', async () => {
    simulator.plan({ fault: 'denied', call: 'genericOperations.askToken' });
    expect(await ask(program, 'generic-operation', '100')).toEqual({
      ...refused(1),
      error: expect.stringContaining('carat_refused'),
    });
    for (const args of [[], ['recharge', '1']]) {
      expect(await ask(program, ...args)).toEqual({ ...refused(2), error: expect.stringContaining('Exit codes') });
    }
  });
});

it('every language exits with 3 when no post comes', async () => {
  simulator.plan({ fault: 'no-post', call: 'genericOperations.askToken', times: PROGRAMS.length });
  const ran = await Promise.all(PROGRAMS.map((program) => ask(program, 'generic-operation', '100')));
  expect(ran).toEqual(PROGRAMS.map(() => ({ ...refused(3), error: expect.stringContaining('no_post') })));
});
