/**
 * The session of docs/flows.md has its real output. It waits 30 s for the guard, the shortest
 * allowed time.
 */
import { expect, it } from 'vitest';
import { createSimulator } from '../../src/simulator/simulator.ts';
import { RestartableService } from '../support/restartable-service.ts';
import { run } from '../support/run.ts';
import { pattern, stepsOf } from '../support/sessions.ts';

/** Values that Carat generates: a SID, SEID, NIT or token, different each time. */
const ISSUED = /[0-9a-f]{64}/g;

it('docs/flows.md shows the real sequence of every flow', async () => {
  const simulator = createSimulator({ authenticityUrl: 'http://127.0.0.1:1/' });
  const carat = await simulator.listen();
  const service = await RestartableService.start({
    CARAT_CREDENTIALS: 'default=LOJA1:CHAVE',
    CARAT_API_URL: simulator.addresses().portal,
    CARAT_RECHARGE_URL: simulator.addresses().recharge,
  });
  simulator.postTo(service.authenticityUrl);
  /** Each value of the document, with the real one. */
  const issued = new Map<string, string>();
  const here = (text: string): string => text.replaceAll(ISSUED, (value) => issued.get(value) ?? value);
  const steps = stepsOf('docs/flows.md');
  expect(steps.length).toBeGreaterThan(20);
  for (const { command, shown } of steps) {
    const played = here(command)
      .replaceAll('http://127.0.0.1:8090', carat)
      .replaceAll('http://127.0.0.1:8081', service.workerUrl);
    const { code, out, error } = await run('sh', ['-c', played.replace(/^curl /, 'curl -sS ')]);
    expect({ command, code, error }).toEqual({ command, code: 0, error: '' });
    for (const [at, line] of shown.entries()) {
      const known = new Set(issued.values());
      const expected = pattern(here(line)).source;
      const fresh = [...expected.matchAll(ISSUED)].map(([value]) => value).filter((value) => !known.has(value));
      const came = out.split(/\r?\n/)[at] ?? '';
      const found = expected.replaceAll(ISSUED, (value) => (known.has(value) ? value : `(${ISSUED.source})`));
      expect({ command, came }).toEqual({ command, came: expect.stringMatching(found) });
      const [, ...values] = came.match(found) ?? [];
      for (const [nth, value] of values.entries()) issued.set(fresh[nth] ?? '', value);
    }
  }
  await service.stop();
  await simulator.close();
});
