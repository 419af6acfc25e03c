/** The commands of the production guide work as described. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { ROOT } from '../support/build.ts';
import { startRedis } from '../support/redis.ts';
import { RestartableService } from '../support/restartable-service.ts';
import { run, runCli } from '../support/run.ts';

const GUIDE = readFileSync(join(ROOT, 'docs/going-live.md'), 'utf8');

it('creates secrets that the service accepts', async () => {
  const env: Record<string, string> = {};
  for (const [, command = '', variable = ''] of GUIDE.matchAll(/`((?:echo|openssl) [^`]+)` → `([A-Z_]+)`/g)) {
    const { code, out } = await run('sh', ['-c', command]);
    expect({ command, code }).toEqual({ command, code: 0 });
    env[variable] = out.trim();
  }
  expect(Object.keys(env).sort()).toEqual(['AUTHENTICITY_PATHS', 'ENCRYPTION_KEYS', 'WORKER_API_KEYS']);
  const config = readConfig(env);
  expect(config.merchants).toEqual(['shop']);
  expect([...config.paths.keys()][0]).toMatch(/^\/a\/[0-9a-f]{32}$/);
  expect(config.workerKeys).toMatchObject([{ merchant: 'shop', key: expect.stringMatching(/^[0-9a-f]{64}$/) }]);
  expect(config.encryptionKeys).toHaveLength(1);
});

it('configures Redis so that the service logs no warning', async () => {
  const [, text = ''] = /^```conf\n(.*?)^```$/ms.exec(GUIDE) ?? [];
  const config = Object.fromEntries(
    text
      .trim()
      .split('\n')
      .map((line) => line.split(' ')),
  );
  expect(Object.keys(config)).toHaveLength(3);
  const redis = await startRedis({ config });
  const service = await RestartableService.start({ STORE_URL: redis.url });
  const answer = await fetch(`${service.workerUrl}/metrics`, { headers: { connection: 'close' } });
  expect(await answer.text()).not.toMatch(/troubles_total\{code="redis_(?:eviction|no_aof|version)/);
  await service.stop();
  await redis.stop();
});

it('runs the doctor against the URL, from outside and with the worker API', async () => {
  const service = await RestartableService.start({ WORKER_API_KEYS: 'a-key-of-the-tests', ACCEPT: 'expected' });
  const commands = [...GUIDE.matchAll(/npm run cli -- (doctor https:\S+(?: --worker \S+)?)$/gm)].map(([, args = '']) =>
    args
      .replace(/https:\S+/, service.authenticityUrl)
      .replace(/--worker \S+/, `--worker ${service.workerUrl}`)
      .split(' '),
  );
  expect(commands.map((args) => args.length)).toEqual([2, 4]);
  for (const args of commands) {
    const { code, out } = await runCli(args, { WORKER_API_KEY: 'a-key-of-the-tests' });
    expect(out).toContain('this URL satisfies Carat');
    expect(code).toBe(0);
  }
  await service.stop();
});
