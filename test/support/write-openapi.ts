/** Writes the served document to `docs/openapi.json`: `npm run openapi`. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { readConfig } from '../../src/config/config.ts';
import { Service } from '../../src/service.ts';

const folder = await mkdtemp(join(tmpdir(), 'openapi-'));
const env = { HOST: '127.0.0.1', PORT: '0', WORKER_PORT: '0', DATA_DIR: folder };
const service = await Service.create(readConfig(env), { log: pino({ level: 'silent' }) });
await service.start();
try {
  const response = await fetch(`${service.workerUrl}/openapi.json`, { headers: { connection: 'close' } });
  const text = JSON.stringify(await response.json(), null, 2);
  await writeFile(new URL('../../docs/openapi.json', import.meta.url), `${text}\n`);
} finally {
  await service.stop();
  await rm(folder, { recursive: true });
}
