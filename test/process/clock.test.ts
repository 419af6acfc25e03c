/** The wall clock of the machine is set while the process runs, or between two runs: nothing ends early or lasts longer. */
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { ROOT } from '../support/build.ts';
import { useDataDir } from '../support/data-dir.ts';
import { startRedis } from '../support/redis.ts';
import { NODE, type ServiceProcess } from '../support/service-process.ts';
import { startProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const [node, main] = NODE as [string, string];
const data = useDataDir();

let offset: number;
let service: ServiceProcess;
beforeEach(async () => {
  await setClock(0);
  service = await start();
});

async function setClock(ms: number): Promise<void> {
  offset = ms;
  const file = `${data.path}.clock`;
  // The process may read the file at any moment.
  await writeFile(`${file}.new`, String(ms));
  await rename(`${file}.new`, file);
}

function start(env: Record<string, string> = {}): Promise<ServiceProcess> {
  const command = [node, '--import', join(ROOT, 'test/support/steered-clock.mjs'), main] as const;
  return data.start({ command, env: { CLOCK_FILE: `${data.path}.clock`, ...env } });
}

async function step(byMs: number): Promise<void> {
  const steps = service.troubles('clock_step').length;
  await setClock(offset + byMs);
  await until('the step is reported', () => service.troubles('clock_step').length > steps);
}

async function ask(
  method: string,
  path: string,
  body?: object,
): Promise<{ status: number; body: Record<string, never> }> {
  const json = body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
  const answer = await fetch(`${service.workerUrl}/v1/${path}`, { method, ...json });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? {} : JSON.parse(text) };
}

async function post(...sids: string[]): Promise<void> {
  for (const sid of sids) expect(await service.post({ seid: `value-of-${sid}`, sid })).toBe(200);
}

const claim = (id: string, sid: string, lease: number, wait = 0): ReturnType<typeof ask> =>
  ask('PUT', `claims/${id}`, { kind: 'seid', sid, lease, wait });
const read = async (sid: string): Promise<number> => (await service.read({ sid })).status;

test.each([
  ['an hour forward', HOUR],
  ['20 minutes forward', 20 * MINUTE],
  ['10 minutes back', -10 * MINUTE],
  ['an hour back', -HOUR],
  ['40 days back', -40 * DAY],
])('keeps tokens, leases and announcements unchanged when the clock is set %s', async (_name, byMs) => {
  await post('live', 'used', 'held', 'short');
  expect((await claim('user', 'used', 60)).status).toBe(200);
  expect((await ask('DELETE', 'claims/user')).status).toBe(204);
  expect((await claim('holder', 'held', 600)).status).toBe(200);
  expect((await claim('brief', 'short', 1)).status).toBe(200);
  const announced = await ask('POST', 'expectations', { kind: 'seid', sid: 'again', ttl: 600 });
  expect((await ask('DELETE', `expectations/${announced.body['id']}`)).status).toBe(204);
  expect(await read('again')).toBe(410);

  await step(byMs);
  expect(service.troubles('clock_step')).toMatchObject([{ level: 40 }]);
  expect(Math.abs(Number(service.troubles('clock_step')[0]?.['seconds']) - byMs / 1000)).toBeLessThan(2);
  const expectSame = async (): Promise<void> => {
    expect([await read('live'), await read('used'), await read('held')]).toEqual([200, 410, 200]);
    expect(await claim('other', 'held', 60)).toMatchObject({ status: 409, body: { code: 'claimed' } });
    expect((await claim('holder', 'held', 600)).status).toBe(200);
  };
  await expectSame();
  // The lease of one second ends, and the token goes to the claim that waits.
  expect((await claim('next', 'short', 600, 30)).status).toBe(200);
  expect((await ask('POST', 'expectations', { kind: 'seid', sid: 'again', ttl: 600 })).status).toBe(201);
  expect(await read('again')).toBe(204);
  const { body } = await ask('GET', 'tokens?sid=live');
  const aheadMs = Date.parse(String(body['received_at'])) - (Date.now() + offset);
  expect(Math.abs(aheadMs)).toBeLessThan(5 * MINUTE);

  // What is on disk has the new time, too.
  await service.kill();
  service = await start();
  await expectSame();
  expect(await read('again')).toBe(204);
});

test('extends no lifetime when the clock is set back between two runs', async () => {
  await post('live', 'held');
  expect((await claim('holder', 'held', 1)).status).toBe(200);
  const announced = await ask('POST', 'expectations', { kind: 'seid', sid: 'again', ttl: 600 });
  expect((await ask('DELETE', `expectations/${announced.body['id']}`)).status).toBe(204);
  await service.kill();
  await setClock(-40 * DAY);
  service = await start();
  expect(await read('live')).toBe(200);
  const { body } = await ask('GET', 'tokens?sid=live');
  expect(Date.parse(String(body['expires_at']))).toBeLessThan(Date.now() - 40 * DAY + HOUR);
  expect((await claim('next', 'held', 60, 30)).status).toBe(200);
  expect((await ask('POST', 'expectations', { kind: 'seid', sid: 'again', ttl: 600 })).status).toBe(201);
  expect(await read('again')).toBe(204);
});

test.each(['while it is cut off from Redis', 'between two runs'])(
  'hands out no token again that was used at another instance, when the clock is set back %s',
  async (when) => {
    await service.kill();
    const redis = await startRedis();
    const proxy = await startProxy({ host: redis.host, port: redis.port });
    const elsewhere = `${data.path}.elsewhere`;
    const env = { TOKEN_TTL_SECONDS: '6' };
    const behindProxy = { ...env, STORE_URL: `redis://${redis.host}:${proxy.port}` };
    try {
      service = await start(behindProxy);
      const other = await data.start({ env: { ...env, STORE_URL: redis.url, DATA_DIR: elsewhere } });
      await post('used');
      await proxy.mode({ kind: 'refuse' });
      proxy.cut();
      if (when === 'between two runs') await service.kill();
      const { id } = await other.read({ sid: 'used' });
      const used = await fetch(`${other.workerUrl}/v1/tokens/${id}`, { method: 'DELETE' });
      expect(used.status).toBe(204);
      // Now only Redis knows of the use, until the token is over there.
      await other.kill();
      if (when === 'between two runs') await setClock(-MINUTE);
      else await step(-MINUTE);
      await until('the token is over', async () => (await redis.command('EXISTS', `carat:{default}:t:${id}`)) === 0);
      await proxy.mode({ kind: 'pass' });
      if (when === 'between two runs') service = await start(behindProxy);
      await until('the instance and Redis are brought together', async () => {
        const { store, fallback } = await service.readiness();
        return store.state === 'ok' && (fallback as { state: string }).state === 'idle';
      });
      expect(await read('used')).toBe(204);
      expect((await claim('again', 'used', 60)).status).toBe(204);
    } finally {
      await service.kill();
      await proxy.stop();
      await redis.stop();
      await rm(elsewhere, { recursive: true, force: true });
    }
  },
);
