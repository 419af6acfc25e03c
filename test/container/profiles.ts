/** The profiles of the compose file: a whole integration against the simulator, and a rolling update of two instances. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { createCaratClient, editSchedule, genericOperation } from '../../src/carat/index.ts';
import { createTokenSource, createWorkerClient } from '../../src/client/index.ts';
import { activeSchedule, PARAMETERS } from '../support/carat.ts';
import { until } from '../support/until.ts';
import { post, READY_WITHIN_MS, ready, token, WORKERS } from './callers.ts';
import { containerOf, type Engine, inspect, KEY } from './engine.ts';

const SIMULATOR = 'http://127.0.0.1:8090/e-sitef';
const SCALED = { entry: 'http://127.0.0.1:8082', workers: 'http://127.0.0.1:8083' };
/** Their addresses in the compose file. */
const INSTANCES = { 'instance-1': '172.31.250.11', 'instance-2': '172.31.250.12' };
const LANES = 4;
const BETWEEN_MS = 500;

export async function simulated(engine: Engine): Promise<string> {
  await engine.compose('--profile', 'simulator', 'up', '-d', '--no-build', 'simulator');
  const client = createCaratClient({
    environment: 'homologation',
    merchantId: 'LOJA1',
    merchantKey: 'KEY',
    addresses: { portal: `${SIMULATOR}/api`, recharge: SIMULATOR },
  });
  const source = createTokenSource(createWorkerClient({ url: WORKERS, key: KEY }));
  const sid = await until('the simulator has a schedule', () => activeSchedule(client), READY_WITHIN_MS);
  const edited = await editSchedule({ client, source }, { sid, changes: { status: 'INA' } });
  assert.equal(edited.answer.schedule?.status, 'INA');
  await genericOperation({ client, source }, { operation: '100', needsToken: true, parameters: PARAMETERS });
  return 'a schedule edited by its SEID, a generic operation run with its token';
}

/**
 * Posts and waits run continuously in several lanes, while the instances restart one after the
 * other.
 */
export async function scaled(engine: Engine): Promise<string> {
  await engine.compose('--profile', 'scale', 'up', '-d', '--no-build', 'nginx');
  const nginx = await containerOf(engine, 'nginx');
  // Wait until nginx reaches it: a container that returns at its old address may be unreachable for
  // a moment.
  const back = (address: string): Promise<boolean> =>
    until(`${address} is ready`, () => engine.reaches(nginx, `http://${address}:8081/readyz`), READY_WITHIN_MS);
  for (const address of Object.values(INSTANCES)) await back(address);
  await ready(SCALED.workers);
  let posts = 0;
  let isOver = false;
  const lane = async (name: number): Promise<void> => {
    for (let turn = 0; !isOver; turn++, posts++) {
      const value = `scale-${name}-${turn}`;
      await post(SCALED.entry, `seid=${value}&merchant_data=${value}`);
      assert.equal(await token(SCALED.workers, `merchant_data=${value}&wait=5`), value);
    }
  };
  const update = async (): Promise<void> => {
    for (const [instance, address] of Object.entries(INSTANCES)) {
      const id = await containerOf(engine, instance);
      await engine.docker('stop', id);
      assert.equal(await inspect(engine, '.State.ExitCode', id), 0);
      await delay(BETWEEN_MS);
      await engine.docker('start', id);
      await back(address);
    }
  };
  const over = (): void => {
    isOver = true;
  };
  await Promise.all([update().finally(over), ...Array.from({ length: LANES }, (_, name) => lane(name).finally(over))]);
  assert.ok(posts > LANES, `${posts} posts`);
  return `${posts} posts, all answered 200 OK and handed over`;
}
