/**
 * A disk that fails under the running process: Carat gets 200, the operator gets a notice, and
 * nothing is lost.
 */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { useDataDir } from '../support/data-dir.ts';
import { NODE, type ServiceProcess } from '../support/service-process.ts';
import { until } from '../support/until.ts';

const data = useDataDir();
const tokens = (): string => join(data.path, 'tokens');

function isIn(service: ServiceProcess, state: string): Promise<true> {
  return until(`the store is ${state}`, async () => (await service.readiness()).store.state === state);
}

async function post(service: ServiceProcess, sid: string): Promise<void> {
  expect(await service.post({ seid: `value-of-${sid}`, sid })).toBe(200);
}

/** The log line may come a little later than the event. */
async function expectToldOnce(service: ServiceProcess, code: string): Promise<void> {
  await until(`${code} is reported`, () => service.troubles(code).length > 0);
  expect(service.troubles(code)).toHaveLength(1);
}

async function expectAll(service: ServiceProcess, sids: readonly string[]): Promise<void> {
  for (const sid of sids) expect(await service.read({ sid })).toMatchObject({ status: 200, value: `value-of-${sid}` });
}

test('DATA_DIR removed and not creatable: answers 200, and writes everything to disk once it can', async () => {
  const service = await data.start();
  await post(service, 'before');
  await rm(data.path, { recursive: true });
  await writeFile(data.path, 'a file, where the directory was');
  await isIn(service, 'degraded');
  await expectToldOnce(service, 'disk_failed');
  const { status, store } = await service.readiness();
  expect(status).toBe(200);
  expect(store).toMatchObject({ kind: 'embedded', state: 'degraded', detail: expect.stringContaining('memory only') });
  await post(service, 'meanwhile');
  await expectAll(service, ['before', 'meanwhile']);

  await rm(data.path);
  await isIn(service, 'ok');
  await expectToldOnce(service, 'disk_back');
  await post(service, 'after');
  await service.kill();
  await expectAll(await data.start(), ['before', 'meanwhile', 'after']);
});

test('DATA_DIR removed: creates it again automatically', async () => {
  const service = await data.start();
  await post(service, 'before');
  await rm(data.path, { recursive: true });
  await until('it is noticed', () => service.troubles('disk_back').length > 0);
  await post(service, 'after');
  await service.kill();
  await expectAll(await data.start(), ['before', 'after']);
});

test('DATA_DIR readable only after the start: keeps its records and the new ones', async () => {
  const first = await data.start();
  for (const sid of ['old', 'used']) await post(first, sid);
  const { id } = await first.read({ sid: 'used' });
  expect((await fetch(`${first.workerUrl}/v1/tokens/${id}`, { method: 'DELETE' })).status).toBe(204);
  await first.kill();
  const elsewhere = `${data.path}.elsewhere`;
  await rename(data.path, elsewhere);
  await writeFile(data.path, 'a file, where the directory will be');

  const service = await data.start();
  await isIn(service, 'degraded');
  for (const sid of ['new', 'used']) await post(service, sid);
  await rm(data.path);
  await rename(elsewhere, data.path);
  await isIn(service, 'ok');
  await expectAll(service, ['old', 'new']);
  expect((await service.read({ sid: 'used' })).status).toBe(410);
  await service.kill();
  const next = await data.start();
  await expectAll(next, ['old', 'new']);
  expect((await next.read({ sid: 'used' })).status).toBe(410);
});

test('starts without a creatable DATA_DIR, keeps posts in memory, and stops', async () => {
  const service = await data.start({ env: { DATA_DIR: '/proc/nope' } });
  await isIn(service, 'degraded');
  await expectToldOnce(service, 'disk_failed');
  await post(service, 'kept');
  await expectAll(service, ['kept']);
  service.signal('SIGTERM');
  expect(await service.exited).toEqual({ code: 0, signal: null });
  expect(service.events('stopped')).toHaveLength(1);
});

test('keeps posts when its working directory is removed and DATA_DIR is relative', async () => {
  const command = ['sh', '-c', 'cd "$0" && exec "$@"', data.path, ...NODE] as const;
  const start = (): Promise<ServiceProcess> => data.start({ command, env: { DATA_DIR: './data' } });
  const service = await start();
  await post(service, 'before');
  await rm(data.path, { recursive: true });
  await writeFile(data.path, 'a file, where the directory was');
  await isIn(service, 'degraded');
  await post(service, 'meanwhile');
  await rm(data.path);
  await isIn(service, 'ok');
  await post(service, 'after');
  service.signal('SIGTERM');
  expect(await service.exited).toEqual({ code: 0, signal: null });
  expect(service.events('stopped')).toHaveLength(1);
  await expectAll(await start(), ['before', 'meanwhile', 'after']);
});

test('a full disk: answers 200, and keeps the earlier records on it', async () => {
  // Files may not grow over 32 KiB (64 blocks of 512 bytes): to the process, the disk is full.
  const service = await data.start({ command: ['sh', '-c', 'ulimit -f 64; exec "$@"', 'sh', ...NODE] });
  let count = 0;
  const failed = (): boolean => service.troubles('disk_failed').length > 0;
  for (; !failed(); count += 1) await post(service, `full${count}`);
  expect(count).toBeGreaterThan(20);
  for (const until = count + 20; count < until; count += 1) await post(service, `full${count}`);
  await isIn(service, 'degraded');
  await expectAll(service, ['full0', `full${count - 1}`]);

  // Each retry writes all records, which is too much for one file.
  const generations = new Set<string>();
  await until('it tries again and again', async () => {
    generations.add(await readFile(join(tokens(), 'CURRENT'), 'utf8'));
    return generations.size > 3;
  });
  await isIn(service, 'degraded');
  await service.kill();

  const beforeItFailed = service.log.slice(
    0,
    service.log.findIndex((line) => line['code'] === 'disk_failed'),
  );
  const onDisk = beforeItFailed.filter((line) => line['outcome'] === 'kept').map((line) => String(line['sid']));
  expect(onDisk.length).toBeGreaterThan(20);
  await expectAll(await data.start(), onDisk);
});
