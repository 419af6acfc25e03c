/**
 * A process with a low limit of open files: idle connections use the descriptors, and a genuine
 * post is still kept.
 */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../support/build.ts';
import { useDataDir } from '../support/data-dir.ts';
import { RawConnection } from '../support/raw-http.ts';

const data = useDataDir();

test('keeps a post while idle connections exceed the limit of open files, and warns of the limit', async () => {
  const main = join(ROOT, 'dist', 'main.js');
  const service = await data.start({ command: ['bash', '-c', `ulimit -n 256; exec '${process.execPath}' '${main}'`] });
  expect(service.troubles('few_file_descriptors')).toMatchObject([{ level: 40, limit: 256, connections: 128 }]);
  const idle: RawConnection[] = [];
  for (let count = 0; count < 400; count += 1) idle.push(await RawConnection.open(service.authenticityPort));
  try {
    expect(await service.post({ seid: 'genuine', sid: 'genuine' })).toBe(200);
    expect(await service.read({ sid: 'genuine' })).toMatchObject({ status: 200, value: 'genuine' });
  } finally {
    for (const connection of idle) connection.destroy();
  }
});
