/** Damage to the files of the embedded store, and a directory written by version 1.0.0. */
import { cp, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tokenId } from '../../../src/token.ts';
import { EmbeddedBench, M, names } from '../../support/embedded.ts';
import { until } from '../../support/until.ts';

const TOKENS = names(40);

let bench: EmbeddedBench;
beforeEach(async () => {
  bench = await EmbeddedBench.make();
});
afterEach(() => bench.remove());

const put = (name: string): Promise<string> => bench.store.put(bench.token(name));
const states = (): Promise<string[]> => Promise.all(TOKENS.map((name) => bench.state(name)));
const damage = (): unknown => bench.told('records_broken')?.facts;

async function fileOf(part: string): Promise<string> {
  const name = (await readdir(bench.directory)).find((file) => file.includes(part));
  if (name === undefined) throw new Error(`expected a file with ${part} in its name`);
  return join(bench.directory, name);
}

/** Changes bytes of a file, each named by its distance from the start as a share of the size. */
async function flip(path: string, ...places: number[]): Promise<void> {
  const bytes = await readFile(path);
  for (const place of places) {
    const at = Math.floor(bytes.length * place);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
  }
  await writeFile(path, bytes);
}

async function cut(path: string, bytes: number): Promise<void> {
  await truncate(path, (await stat(path)).size - bytes);
}

/** Fills a directory with one batch a token. Every second token is used. */
async function fill(): Promise<void> {
  await bench.open();
  for (const name of TOKENS) await put(name);
  for (const [at, name] of TOKENS.entries()) if (at % 2 === 1) await bench.store.use(M, bench.token(name).id);
}

/** Moves all records from the log of LevelDB to a table. */
async function moveToTable(): Promise<void> {
  await bench.reopen();
  await until('the table is there', async () => (await readdir(bench.directory)).some((file) => file.endsWith('.ldb')));
  await bench.close();
}

/** No answer differs from what was put, whatever was lost. */
async function expectNothingAltered(): Promise<void> {
  for (const name of TOKENS) {
    const answer = await bench.store.read(bench.under(name));
    if (answer.state === 'live') expect(answer.token).toMatchObject(bench.token(name));
  }
}

describe('reports damage, and keeps intact records, when', () => {
  it.each<[string, () => Promise<void>]>([
    ['a byte in the middle of the log is wrong', async () => flip(await fileOf('.log'), 0.5)],
    ['the first byte of a record of the log is wrong', async () => flip(await fileOf('.log'), 0)],
    ['many bytes of the log are wrong', async () => flip(await fileOf('.log'), 0.1, 0.3, 0.5, 0.7, 0.9)],
    ['the tail of the log is cut within the last batch', async () => cut(await fileOf('.log'), 10)],
    ['the tail of the log is cut', async () => cut(await fileOf('.log'), 5000)],
    ['the log is empty', async () => truncate(await fileOf('.log'))],
    ['the log is gone', async () => rm(await fileOf('.log'))],
  ])('%s', async (_name, spoil) => {
    await fill();
    await bench.close();
    await spoil();
    await bench.open();
    expect(damage()).toMatchObject({ directory: bench.directory });
    await expectNothingAltered();
    expect(await put('newer')).toBe('kept');
    const before = await states();
    bench.troubles.splice(0);
    await bench.reopen();
    expect(bench.troubles).toEqual([]);
    expect(await states()).toEqual(before);
    expect(await bench.state('newer')).toBe('live');
  });

  it('a batch between two others is missing', async () => {
    await bench.open();
    for (const name of ['a', 'b']) await put(name);
    await bench.close();
    const level = new ClassicLevel(bench.directory);
    const markers = await level.keys({ gt: 'batch', lt: 'batch~' }).all();
    // As it is when the log lost the batch that removed this number.
    await level.put(`batch\n${Number(markers[0]?.slice('batch\n'.length)) - 1}`, '');
    await level.close();
    await bench.open();
    expect(damage()).toMatchObject({ records: 0, batches: 1 });
  });

  it('a value is altered without notice by LevelDB', async () => {
    await fill();
    await bench.close();
    const level = new ClassicLevel(bench.directory);
    for (const name of ['t0', 't1']) {
      const key = `token\n${M}\n${bench.token(name).id}`;
      const record = (await level.get(key)) as string;
      await level.put(key, name === 't0' ? record.replace('"t0"', '"t9"') : record.replace('"used"', '"live"'));
    }
    await level.close();
    await bench.open();
    expect(damage()).toMatchObject({ records: 2 });
    expect((await states()).slice(0, 4)).toEqual(['none', 'none', 'live', 'used']);
    await expectNothingAltered();
  });
});

describe('sets the directory aside and keeps newer records when', () => {
  it.each<[string, () => Promise<void>]>([
    ['a table is cut', async () => cut(await fileOf('.ldb'), 500)],
    ['a table is empty', async () => truncate(await fileOf('.ldb'))],
    ['a table is gone', async () => rm(await fileOf('.ldb'))],
  ])('%s', async (_name, spoil) => {
    await fill();
    await moveToTable();
    await spoil();
    await bench.open();
    expect(bench.told('store_set_aside')).toBeDefined();
    expect(bench.store.health().state).toBe('ok');
    expect(await put('newer')).toBe('kept');
    await bench.reopen();
    expect(await bench.state('newer')).toBe('live');
  });

  it('it fails to open repeatedly', async () => {
    await fill();
    await bench.close();
    const manifest = await fileOf('MANIFEST');
    await rm(manifest);
    // LevelDB fails to read it, each time.
    await mkdir(manifest);
    await bench.open();
    expect(bench.store.health().state).toBe('degraded');
    expect(await put('newer')).toBe('kept');
    await until('it is set aside', () => bench.told('store_set_aside'));
    await until('it is back', () => bench.told('disk_back'));
    await bench.reopen();
    expect(await bench.state('newer')).toBe('live');
  });
});

it('reports nothing after a process that died between two batches', async () => {
  await fill();
  // What a killed process leaves behind: the files as they are while it runs.
  const copy = `${bench.directory}.copy`;
  await cp(bench.directory, copy, { recursive: true });
  await bench.close();
  await rm(bench.directory, { recursive: true });
  await cp(copy, bench.directory, { recursive: true });
  await bench.open();
  expect(bench.troubles).toEqual([]);
  expect((await states()).slice(0, 2)).toEqual(['live', 'used']);
});

it('reads a directory of version 1.0.0 and rewrites it', async () => {
  const now = Date.now();
  const record = (value: string, more: object, merchant = M): [string, string] => {
    const id = tokenId(merchant, 'token', value);
    const times = { receivedAt: now - 1000, expiresAt: now + 600_000 };
    const token = { id, merchant, kind: 'token', value, ...more, ...times };
    return [id, JSON.stringify({ token, state: 'live', standing: 'here', order: now, deliveries: 0, seen: true })];
  };
  const [live, liveRecord] = record('live', { pooled: false, sid: 'live' });
  const [used, usedRecord] = record('used', { pooled: false, sid: 'used' });
  const [held, heldRecord] = record('held', { pooled: true });
  const [altered, alteredRecord] = record('altered', { pooled: false, sid: 'altered' });
  const [dummy, dummyRecord] = record('dummy', { pooled: true }, '');
  const claim = { id: 'c1', leaseExpiresAt: now + 60_000, deliveries: 1, renewals: 0 };
  const expectation = { merchant: M, kind: 'token', standing: 'here', openedAt: now, expiresAt: now + 60_000 };
  const records: Record<string, string> = {
    format: '1',
    [`token\n${M}\n${live}`]: liveRecord,
    [`token\n${M}\n${used}`]: usedRecord.replace('"live","standing"', '"used","standing"'),
    [`token\n${M}\n${held}`]: JSON.stringify({ ...JSON.parse(heldRecord), claim, deliveries: 1 }),
    [`token\n${M}\n${altered}`]: alteredRecord.replace('"altered"', '"altared"'),
    // 1.0.0 wrote dummy records, of a merchant without a name.
    [`token\n\n${dummy}`]: dummyRecord,
    [`claim\n${M}\nc1`]: JSON.stringify({ merchant: M, id: 'c1', token: held, released: false }),
    [`expectation\n${M}\ne1`]: JSON.stringify({ ...expectation, id: 'e1', topic: 'sid=x', cancelledAt: now }),
  };
  const level = new ClassicLevel(bench.directory);
  for (const [key, value] of Object.entries(records)) await level.put(key, value);
  await level.close();

  await bench.open();
  expect(damage()).toMatchObject({ records: 1, batches: 0, skips: 0 });
  for (const time of ['before', 'after']) {
    expect([time, await bench.state('live'), await bench.state('used')]).toEqual([time, 'live', 'used']);
    expect([time, await bench.state('x'), await bench.state('altered')]).toEqual([time, 'cancelled', 'none']);
    expect(await bench.claim('c1')).toMatchObject({ state: 'held', token: { value: 'held' } });
    await bench.reopen();
  }
  expect(bench.troubles).toHaveLength(1);
  await bench.close();
  const written = new ClassicLevel(bench.directory);
  expect(await written.get('format')).toBe('2');
  expect(await written.get(`token\n\n${dummy}`)).toBeUndefined();
  await written.close();
});
