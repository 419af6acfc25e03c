import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { fetchInto, removeLeftovers } from './cache.ts';

/** Larger than any pid: the limit of Linux is 4,194,304. */
const NOBODY = 4_999_999;

async function newCache(): Promise<string> {
  const cache = await mkdtemp(join(tmpdir(), 'cache-'));
  onTestFinished(() => rm(cache, { recursive: true }));
  return cache;
}

test('removes files of interrupted runs, and none of a current run', async () => {
  const cache = await newCache();
  const folders = [
    'redis',
    `tools/partial-${NOBODY}-x`,
    `tools/partial-${process.pid}-x`,
    'partial-abc',
    'unpacking-abc',
  ];
  for (const folder of folders) await mkdir(join(cache, folder), { recursive: true });
  await removeLeftovers(cache);
  expect((await readdir(cache)).sort()).toEqual(['redis', 'tools']);
  expect(await readdir(join(cache, 'tools'))).toEqual([`partial-${process.pid}-x`]);
});

test('keeps a whole folder or nothing', async () => {
  const cache = await newCache();
  const fill = (text: string) => (aside: string) => writeFile(join(aside, 'file'), text);
  const failing = fetchInto(join(cache, 'tools/failing'), async () => {
    throw new Error('no network');
  });
  await expect(failing).rejects.toThrow('no network');
  await Promise.all(['a', 'b'].map((text) => fetchInto(join(cache, 'tools/whole'), fill(text))));
  expect(await readdir(join(cache, 'tools'))).toEqual(['whole']);
});
