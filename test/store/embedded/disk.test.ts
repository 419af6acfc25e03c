/** The disk under the embedded store: in use, of another format, broken, torn, gone and back. */
import { mkdir, readdir, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DirectoryInUse } from '../../../src/store/embedded/level.ts';
import { chainedBatches } from '../../support/chained-batches.ts';
import { EmbeddedBench, M, names } from '../../support/embedded.ts';
import { until } from '../../support/until.ts';

const IN_THE_WAY = 'a file where the directory should be';
const HEALTHY = { kind: 'embedded', state: 'ok' };

describe('the disk', () => {
  let bench: EmbeddedBench;
  beforeEach(async () => {
    bench = await EmbeddedBench.make();
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await bench.remove();
  });
  const put = (name: string, pooled = false): Promise<string> => bench.store.put(bench.token(name, pooled));
  const states = (...of: string[]): Promise<string[]> => Promise.all(of.map((name) => bench.state(name)));
  const fileOf = async (part: string): Promise<string> => {
    const name = (await readdir(bench.directory)).find((file) => file.includes(part));
    return join(bench.directory, name ?? part);
  };

  it('refuses a directory of another store, which continues', async () => {
    await bench.open();
    await put('x');
    await expect(bench.open(bench.make())).rejects.toThrow(DirectoryInUse);
    await expect(bench.open(bench.make())).rejects.toThrow(bench.directory);
    expect(await put('y')).toBe('kept');
    await bench.reopen();
    expect(await states('x', 'y')).toEqual(['live', 'live']);
  });

  it('sets a directory of another format aside unchanged, and reports its new name', async () => {
    await bench.open();
    await put('x');
    await bench.close();
    const level = new ClassicLevel(bench.directory);
    await level.put('format', '0');
    await level.close();
    await bench.open();
    const { aside } = bench.told('store_set_aside')?.facts ?? {};
    expect(aside).toMatch(/tokens\.aside-/);
    expect(await bench.state('x')).toBe('none');
    await put('y');
    const old = new ClassicLevel(String(aside));
    expect(await old.get(`token\n${M}\n${bench.token('x').id}`)).toContain('"live"');
    await old.close();
    await bench.reopen();
    expect(await states('x', 'y')).toEqual(['none', 'live']);
  });

  it('sets a corrupt directory aside', async () => {
    await bench.open();
    await put('x');
    await bench.close();
    await rm(await fileOf('MANIFEST'));
    await bench.open();
    expect(bench.told('store_set_aside')).toBeDefined();
    expect(await put('y')).toBe('kept');
    expect(bench.store.health()).toEqual(HEALTHY);
  });

  it('sets a directory aside that became unreadable, and writes all records again', async () => {
    await bench.open();
    await put('x');
    vi.spyOn(await chainedBatches(), 'write').mockRejectedValueOnce(new Error('the disk is full'));
    await rm(await fileOf('MANIFEST'));
    expect(await put('y')).toBe('kept');
    const { state, detail } = bench.store.health();
    expect(state).toBe('degraded');
    expect(detail).toContain('the disk is full');
    await until('it is back', () => bench.told('disk_back'));
    expect(bench.told('store_set_aside')).toBeDefined();
    await bench.reopen();
    expect(await states('x', 'y')).toEqual(['live', 'live']);
  });

  it('counts broken records, and continues with the others', async () => {
    await bench.open();
    await put('x');
    await put('y');
    await bench.claim('c1', bench.under('x'));
    await bench.close();
    const level = new ClassicLevel(bench.directory);
    const key = `token\n${M}\n${bench.token('y').id}`;
    const stored = (await level.get(key)) as string;
    const whole = JSON.parse(stored.slice(stored.indexOf('{')));
    const broken: [string, string][] = [
      [`token\n${M}\n1`, '{"token":'],
      [`token\n${M}\n2`, 'null'],
      [`token\n${M}\n3`, '{}'],
      [`token\n${M}\n4`, JSON.stringify(whole)],
      [key, JSON.stringify({ ...whole, token: { ...whole.token, expiresAt: 'never' } })],
      [`claim\n${M}\nc2`, '[]'],
      [`expectation\n${M}\ne1`, '{"id":"e1"}'],
      ['nonsense', '{}'],
    ];
    for (const [at, value] of broken) await level.put(at, value);
    await level.close();
    await bench.open();
    expect(bench.told('records_broken')?.facts).toMatchObject({ records: broken.length });
    expect(await states('x', 'y')).toEqual(['live', 'none']);
    expect(await put('y')).toBe('kept');
    expect(await bench.store.settle(M, 'c1', 'use')).toBe('done');
  });

  it('loses no acknowledged change by a torn write', async () => {
    await bench.open();
    for (const name of names(50)) await put(name);
    const log = await fileOf('.log');
    const { size } = await stat(log);
    await put('torn');
    await bench.close();
    // As if the process had died during this write, before any answer.
    expect((await stat(log)).size).toBeGreaterThan(size + 100);
    await truncate(log, size + 100);
    await bench.open();
    expect(new Set(await states(...names(50)))).toEqual(new Set(['live']));
    expect(await put('torn')).toBe('kept');
  });

  it('is reported when it is gone, and gets all records once it is back', async () => {
    await bench.open();
    await put('before');
    await put('pooled', true);
    await rm(bench.directory, { recursive: true });
    await writeFile(bench.directory, IN_THE_WAY);
    await until('it says so', () => bench.told('disk_failed'));
    expect(bench.store.health()).toMatchObject({ state: 'degraded', detail: expect.stringContaining('memory') });
    expect(await put('meanwhile')).toBe('kept');
    expect(await bench.claim('c1')).toMatchObject({ state: 'held' });
    expect(await bench.state('before')).toBe('live');
    await rm(bench.directory);
    await until('it is back', () => bench.told('disk_back'));
    expect(bench.store.health()).toEqual(HEALTHY);
    await put('after');
    await bench.reopen();
    expect(await states('before', 'meanwhile', 'after')).toEqual(['live', 'live', 'live']);
    expect(await bench.store.settle(M, 'c1', 'use')).toBe('done');
  });

  it('keeps the records of a directory that could not be read at the start', async () => {
    await bench.open();
    for (const name of ['live', 'used', 'again', 'pooled']) await put(name, name === 'pooled');
    await bench.store.use(M, bench.token('used').id);
    await bench.claim('c1');
    await bench.store.expect({ id: 'e1', merchant: M, kind: 'seid', topic: 'sid=cancelled', ttlMs: 60_000 });
    await bench.store.cancel(M, 'e1');
    await bench.close();
    await rename(bench.directory, `${bench.directory}.elsewhere`);
    await writeFile(bench.directory, IN_THE_WAY);
    await bench.open();
    expect(bench.told('disk_failed')).toBeDefined();
    for (const name of ['meanwhile', 'used', 'again']) expect(await put(name)).toBe('kept');
    await rm(bench.directory);
    await rename(`${bench.directory}.elsewhere`, bench.directory);
    await until('it is back', () => bench.told('disk_back'));
    for (let time = 0; time < 2; time++) {
      expect(await states('live', 'meanwhile', 'again')).toEqual(['live', 'live', 'live']);
      expect(await states('used', 'cancelled')).toEqual(['used', 'cancelled']);
      expect(await bench.claim('c2')).toMatchObject({ state: 'none' });
      await bench.reopen();
    }
    expect(await bench.store.settle(M, 'c1', 'use')).toBe('done');
  });

  it('may be unavailable from start to end', async () => {
    await mkdir(dirname(bench.directory), { recursive: true });
    await writeFile(bench.directory, IN_THE_WAY);
    await bench.open();
    expect(await put('x')).toBe('kept');
    await bench.close();
    await rm(bench.directory);
    await bench.open();
    expect(await put('x')).toBe('kept');
  });
});
