/** Acknowledged posts after a kill, a torn last write, or damage to the directory. */
import { appendFile, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { useDataDir } from '../support/data-dir.ts';
import type { ServiceProcess } from '../support/service-process.ts';

const data = useDataDir();
const tokens = (): string => join(data.path, 'tokens');

/** Posts this many tokens at once. Returns their SIDs when all are acknowledged. */
async function post(service: ServiceProcess, count: number, prefix = 'sid'): Promise<string[]> {
  const sids = Array.from({ length: count }, (_, at) => `${prefix}${at}`);
  const statuses = await Promise.all(sids.map((sid) => service.post({ seid: `value-of-${sid}`, sid })));
  expect(statuses).toEqual(sids.map(() => 200));
  return sids;
}

async function expectAll(service: ServiceProcess, sids: string[]): Promise<void> {
  const found = await Promise.all(sids.map((sid) => service.read({ sid })));
  expect(found.map(({ value }) => value)).toEqual(sids.map((sid) => `value-of-${sid}`));
}

/** The log that LevelDB wrote last. */
async function newestLog(): Promise<string> {
  const logs = (await readdir(tokens())).filter((name) => name.endsWith('.log')).sort();
  return join(tokens(), logs.at(-1) ?? 'none');
}

describe('kill -9', () => {
  test('keeps 200 posts that were just acknowledged', async () => {
    const service = await data.start();
    const sids = await post(service, 200);
    expect(await service.kill()).toEqual({ code: null, signal: 'SIGKILL' });
    const next = await data.start();
    await expectAll(next, sids);
    expect(next.troubles('records_broken')).toEqual([]);
  });

  test('keeps uses and claims', async () => {
    const service = await data.start();
    const [used, claimed, untouched] = await post(service, 3);
    if (used === undefined || claimed === undefined || untouched === undefined) throw new Error('expected three');
    const { id } = await service.read({ sid: used });
    expect((await fetch(`${service.workerUrl}/v1/tokens/${id}`, { method: 'DELETE' })).status).toBe(204);
    expect((await claim(service, 'mine', claimed)).status).toBe(200);
    await service.kill();

    const next = await data.start();
    expect((await next.read({ sid: used })).status).toBe(410);
    expect(await next.post({ seid: `value-of-${used}`, sid: used })).toBe(200);
    expect((await next.read({ sid: used })).status).toBe(410);
    expect((await claim(next, 'another', claimed)).status).toBe(409);
    expect((await claim(next, 'mine', claimed)).status).toBe(200);
    expect((await next.read({ sid: untouched })).status).toBe(200);
  });

  function claim(service: ServiceProcess, id: string, sid: string): Promise<Response> {
    return fetch(`${service.workerUrl}/v1/claims/${id}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ kind: 'seid', sid, lease: 600 }),
    });
  }
});

describe('a torn last write', () => {
  test('with an incomplete record loses no acknowledged change, then or later', async () => {
    const tails = [
      Buffer.from('\xde\xad\xbe\xef'.repeat(40), 'latin1'),
      Buffer.alloc(5000),
      // The header of a record and some of its payload: the first record is longer.
      (await recordsOfAnother()).subarray(0, 20),
      Buffer.of(1),
    ];
    const sids: string[] = [];
    for (const [at, tail] of tails.entries()) {
      const service = await data.start();
      expect(service.troubles('store_set_aside')).toEqual([]);
      await expectAll(service, sids);
      sids.push(...(await post(service, 20, `sid${at}-`)));
      await service.kill();
      await appendFile(await newestLog(), tail);
    }
    await expectAll(await data.start(), sids);
  });

  async function recordsOfAnother(): Promise<Buffer> {
    const service = await data.start();
    await service.kill();
    return readFile(await newestLog());
  }

  test('that is cut in the middle loses no earlier acknowledged change', async () => {
    const service = await data.start();
    const sids = await post(service, 50);
    const log = await newestLog();
    const { size } = await stat(log);
    await post(service, 1, 'last');
    await service.kill();
    const torn = Math.floor((size + (await stat(log)).size) / 2);
    expect(torn).toBeGreaterThan(size);
    await truncate(log, torn);
    const next = await data.start();
    await expectAll(next, sids);
    // The cut batch was acknowledged.
    expect(next.troubles('records_broken')).toMatchObject([{ batches: 1, records: 0 }]);
  });
});

describe('an unreadable directory', () => {
  const damages: [string, () => Promise<void>][] = [
    ['CURRENT is junk', () => writeFile(join(tokens(), 'CURRENT'), 'junk')],
    ['CURRENT is empty', () => writeFile(join(tokens(), 'CURRENT'), '')],
    ['CURRENT names nothing', () => writeFile(join(tokens(), 'CURRENT'), 'MANIFEST-999999\n')],
    ['the MANIFEST is junk', async () => writeFile(await manifest(), 'junk'.repeat(100))],
    ['the MANIFEST is empty', async () => truncate(await manifest())],
  ];

  test('is set aside and reported, and the service starts and keeps new tokens', async () => {
    let service = await data.start();
    for (const [what, damage] of damages) {
      await post(service, 3);
      await service.kill();
      await damage();
      service = await data.start();
      const [trouble, ...others] = service.troubles('store_set_aside');
      expect([what, trouble]).toMatchObject([what, { level: 50, directory: tokens() }]);
      expect(others).toEqual([]);
      expect(String(trouble?.['aside'])).toMatch(new RegExp(`^${tokens()}\\.aside-`));
      expect(await readdir(String(trouble?.['aside']))).toContain('CURRENT');
      expect((await service.readiness()).store.state).toBe('ok');
    }
    const sids = await post(service, 3, 'new');
    await service.kill();
    await expectAll(await data.start(), sids);
  });

  async function manifest(): Promise<string> {
    const name = (await readdir(tokens())).find((file) => file.startsWith('MANIFEST-'));
    return join(tokens(), name ?? 'none');
  }
});
