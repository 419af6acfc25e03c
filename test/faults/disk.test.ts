/** Failures of the journal's disk, alone and together with Redis, and unreadable journals. */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { expect, it } from 'vitest';
import { GuardedFolder } from '../support/guarded-folder.ts';
import { Instance } from '../support/instance.ts';
import { freePort, LOOPBACK } from '../support/ports.ts';
import { startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';

const value = (): string => randomBytes(32).toString('hex');
const nobody = async (): Promise<string> => `redis://${LOOPBACK}:${await freePort()}`;

it('a disk that is gone while Redis is away: answers 200 from memory, reports it, and writes all to the disk later', async () => {
  const a = await Instance.start(await nobody());
  try {
    const [before, after] = [value(), value()];
    await a.post({ seid: before, merchant_data: 'before' });
    await rename(a.dataDir, `${a.dataDir}-elsewhere`);
    await writeFile(a.dataDir, 'a file is in the way');
    await until('it is reported', () => a.told('disk_failed') > 0);
    expect(await a.post({ seid: after, merchant_data: 'after' })).toMatchObject({ status: 200, text: 'OK' });
    expect(await a.read({ merchant_data: 'after' })).toMatchObject({ status: 200, body: { value: after } });
    expect(await a.read({ merchant_data: 'before' })).toMatchObject({ status: 200, body: { value: before } });
    expect(await a.ready()).toMatchObject({ status: 200, fallback: { disk: 'degraded', state: 'serving' } });
    expect(await a.metric('troubles_total', '"disk_failed"')).toBeGreaterThan(0);
    await rm(a.dataDir);
    await until('it is written again', () => a.told('disk_back') > 0);
    await a.halt();
    const again = await Instance.start(await nobody(), {}, a.folder);
    expect(await again.read({ merchant_data: 'after' })).toMatchObject({ status: 200, body: { value: after } });
    expect(await again.read({ merchant_data: 'before' })).toMatchObject({ status: 200, body: { value: before } });
    await again.halt();
  } finally {
    await a.folder.remove();
  }
});

it('a disk that is missing at the start, with Redis up: everything works, and readyz reports the disk', async () => {
  const redis = await startRedis();
  const a = await Instance.start(redis.url, { DATA_DIR: '/dev/null/data' });
  try {
    const seid = value();
    expect((await a.post({ seid, merchant_data: 'x' })).status).toBe(200);
    expect(await a.claim('c', { merchant_data: 'x' })).toMatchObject({ status: 200, body: { value: seid } });
    expect((await a.used('c')).status).toBe(204);
    expect(await a.ready()).toMatchObject({ store: { state: 'degraded' }, fallback: { disk: 'degraded' } });
    expect(a.told('disk_failed')).toBe(1);
  } finally {
    await a.stop();
    await redis.stop();
  }
});

it.each<[string, (tokens: string) => Promise<unknown>, string]>([
  ['torn', (tokens) => writeFile(join(tokens, 'CURRENT'), 'no manifest'), 'store_set_aside'],
  ['of an older format', (tokens) => put(tokens, 'format', '0'), 'store_set_aside'],
  ['with a record that is not JSON', (tokens) => put(tokens, 'token\ndefault\nx', '{"tok'), 'records_broken'],
  ['with a record that is not a token', (tokens) => put(tokens, 'token\ndefault\nx', '5'), 'records_broken'],
])('a journal %s: the service starts and reports the damage', async (_name, spoil, code) => {
  const url = await nobody();
  const folder = await GuardedFolder.make('journal-');
  try {
    const before = await Instance.start(url, {}, folder);
    await before.post({ seid: value(), merchant_data: 'x' });
    await before.halt();
    await spoil(join(before.dataDir, 'tokens'));
    const a = await Instance.start(url, {}, folder);
    expect(a.told(code)).toBe(1);
    expect(await a.metric('troubles_total', `"${code}"`)).toBe(1);
    const aside = (await readdir(a.dataDir)).filter((name) => name.startsWith('tokens.aside-'));
    expect(aside).toHaveLength(code === 'store_set_aside' ? 1 : 0);
    const seid = value();
    expect((await a.post({ seid, merchant_data: 'y' })).status).toBe(200);
    expect(await a.read({ merchant_data: 'y' })).toMatchObject({ status: 200, body: { value: seid } });
    expect(a.told('disk_failed')).toBe(0);
    await a.halt();
  } finally {
    await folder.remove();
  }
});

it('a journal sealed with a removed key: the service reports the key and continues', async () => {
  const url = await nobody();
  const folder = await GuardedFolder.make('journal-');
  const keys = (): Record<string, string> => ({ ENCRYPTION_KEYS: randomBytes(32).toString('base64') });
  try {
    const before = await Instance.start(url, keys(), folder);
    const lost = value();
    await before.post({ seid: lost, merchant_data: 'x' });
    await before.halt();
    const a = await Instance.start(url, keys(), folder);
    expect((await a.read({ merchant_data: 'x' })).status).toBe(503);
    expect(a.told('sealed_with_unknown_key')).toBe(1);
    expect(await a.metric('troubles_total', '"sealed_with_unknown_key"')).toBe(1);
    expect(JSON.stringify(a.log)).not.toContain(lost);
    const seid = value();
    expect((await a.post({ seid, merchant_data: 'y' })).status).toBe(200);
    expect(await a.read({ merchant_data: 'y' })).toMatchObject({ status: 200, body: { value: seid } });
    await a.halt();
  } finally {
    await folder.remove();
  }
});

async function put(directory: string, key: string, record: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  const level = new ClassicLevel(directory, { keyEncoding: 'utf8', valueEncoding: 'utf8' });
  await level.put(key, record);
  await level.close();
}
