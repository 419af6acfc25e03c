/** The try without Carat, in two commands: `docker compose … up` with `try.env`, and a curl. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { readConfig } from '../../src/config/config.ts';
import { createSimulator } from '../../src/simulator/simulator.ts';
import { ROOT } from '../support/build.ts';
import { RestartableService } from '../support/restartable-service.ts';
import { run } from '../support/run.ts';

const ENV_FILE = 'deploy/compose/try.env';
const UP = `docker compose --env-file ${ENV_FILE} --profile simulator up`;
const read = (file: string): Promise<string> => readFile(join(ROOT, file), 'utf8');

interface Composed {
  services: Record<string, { ports?: string[]; environment?: Record<string, string> }>;
}

/** The compose file with the variables of the try, as Compose inserts them. */
async function composed(): Promise<Composed> {
  const lines = (await read(ENV_FILE)).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const given = new Map(lines.map((line) => line.split(/=(.*)/s, 2) as [string, string]));
  const { services } = parse(await read('docker-compose.yml'), { merge: true }) as Composed;
  const inserted = (text: string): string =>
    text.replaceAll(/\$\{([A-Z_]+)(?::([-?])([^}]*))?\}/g, (_, name: string, kind: string, value: string) => {
      const found = given.get(name) ?? (kind === '-' ? value : undefined);
      return found ?? expect.unreachable(`${name} is needed, and not in ${ENV_FILE}`);
    });
  return JSON.parse(inserted(JSON.stringify({ services })));
}

describe('the try without Carat', () => {
  it('configures a service that asks the simulator, and the simulator posts to it', async () => {
    const { services } = await composed();
    const { simulator, 'carat-authenticity': service } = services;
    const { carat, workerPort, port, workerKeys } = readConfig(service?.environment ?? {});
    expect(workerKeys).toEqual([{ key: 'try-it-on-this-machine' }]);
    for (const address of [carat?.apiUrl, carat?.rechargeUrl]) {
      const { hostname, port: published } = new URL(address ?? '');
      expect([hostname, simulator?.ports]).toEqual(['simulator', [`127.0.0.1:${published}:${published}`]]);
    }
    const post = new URL(simulator?.environment?.['AUTHENTICITY_URL'] ?? '');
    expect([post.hostname, post.port]).toEqual(['carat-authenticity', String(port)]);
    expect(service?.ports).toContain(`127.0.0.1:${workerPort}:${workerPort}`);
  });

  it.each(['README.md', 'README.pt-BR.md'])('works as %s says, with its one call', async (file) => {
    const readme = await read(file);
    expect(readme).toContain(UP);
    const [call = ''] = readme.match(/^curl .*\/v1\/recharges$/m) ?? [];
    const [header = ''] = readme.match(/-H 'Authorization: Bearer \S+'/) ?? [];
    const simulator = createSimulator({ authenticityUrl: 'http://127.0.0.1:1/' });
    const carat = await simulator.listen();
    const { STORE_URL, WORKER_HOST, ...env } = (await composed()).services['carat-authenticity']?.environment ?? {};
    expect([STORE_URL, WORKER_HOST]).toEqual(['redis://redis:6379', '0.0.0.0']);
    // Compose uses host names; here, these are ports.
    const here = Object.entries(env).map(([name, value]) => [name, value.replace('http://simulator:8090', carat)]);
    const service = await RestartableService.start(Object.fromEntries(here));
    simulator.postTo(service.authenticityUrl);
    const command = `${call} -sS ${header}`.replace('http://127.0.0.1:8081', service.workerUrl);
    const { code, out, error } = await run('sh', ['-c', command]);
    expect({ code, error }).toEqual({ code: 0, error: '' });
    expect(JSON.parse(out)).toMatchObject({ nit: expect.stringMatching(/^[0-9a-f]{64}$/), merchant_usn: '2398' });
    await service.stop();
    await simulator.close();
  });
});
