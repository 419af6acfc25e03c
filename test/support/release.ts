/**
 * The service of an earlier release. It is unpacked from `test/fixtures` into `.cache`, where it
 * finds our `node_modules`.
 */
import { createHash } from 'node:crypto';
import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { ROOT } from './build.ts';
import { CACHE, fetchInto } from './cache.ts';

/** The path of the release's `main.js`. */
export async function releasedMain(version: '1.0.0'): Promise<string> {
  const packed = await readFile(join(ROOT, 'test', 'fixtures', version, 'main.js.br'));
  const digest = createHash('sha256').update(packed).digest('hex').slice(0, 8);
  const folder = join(CACHE, 'releases', `${version}-${digest}`);
  const main = join(folder, 'dist', 'main.js');
  const isThere = await access(main).then(
    () => true,
    () => false,
  );
  if (!isThere) {
    await fetchInto(folder, async (aside) => {
      await mkdir(join(aside, 'dist'));
      await writeFile(join(aside, 'dist', 'main.js'), brotliDecompressSync(packed));
      // The service reads its version from this file.
      await writeFile(join(aside, 'package.json'), JSON.stringify({ type: 'module', version }));
    });
  }
  return main;
}
