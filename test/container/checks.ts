/**
 * The checks of the image and the running containers. The order matters: each check leaves the
 * stack ready for the next.
 */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../support/until.ts';
import { AUTHORIZED, PUBLIC, post, READY_WITHIN_MS, ready, readyz, token, WORKERS } from './callers.ts';
import { containerOf, type Engine, inspect, version } from './engine.ts';
import { scaled, simulated } from './profiles.ts';

const SERVICE = 'carat-authenticity';
const ALL_PROFILES = ['--profile', 'simulator', '--profile', 'scale'];
const STOPS_WITHIN_MS = 10_000;

/** The services of the compose file with a useful log. */
export const SERVICES = [SERVICE, 'redis', 'simulator', 'instance-1', 'instance-2', 'nginx'];

export type Check = readonly [what: string, look: () => Promise<string | undefined>];

export function checks(engine: Engine, note: (step: string) => void): Check[] {
  const inside = async (script: string): Promise<string> =>
    engine.docker('exec', await containerOf(engine, SERVICE), 'node', '-e', script);
  const healthCommand = async (service: string): Promise<string[]> => {
    const test = await inspect<string[]>(engine, '.Config.Healthcheck.Test', await containerOf(engine, service));
    return test.slice(1);
  };
  const health = async (service: string, ...options: string[]): Promise<string> =>
    engine.docker('exec', ...options, await containerOf(engine, service), ...(await healthCommand(service)));
  return [
    [
      'the compose file with all its profiles, by its own `config`',
      async () => {
        await engine.compose(...ALL_PROFILES, 'config', '-q');
        return undefined;
      },
    ],
    [
      'the image is built',
      async () => {
        await engine.build(note);
        const megabytes = ((await inspect<number>(engine, '.Size')) / 1e6).toFixed(0);
        return `${megabytes} MB unpacked`;
      },
    ],
    [
      'the image: labels, nobody special, one volume, node itself',
      async () => {
        const labels = await inspect<Record<string, string>>(engine, '.Config.Labels');
        const label = (name: string): string | undefined => labels[`org.opencontainers.image.${name}`];
        assert.equal(label('title'), SERVICE);
        assert.equal(label('licenses'), 'MIT');
        assert.equal(label('version'), version());
        assert.match(label('revision') ?? '', /^([0-9a-f]{40}|unknown)$/);
        assert.equal(await inspect(engine, '.Config.User'), '1000:1000');
        assert.deepEqual(await inspect(engine, '.Config.Volumes'), { '/data': {} });
        assert.deepEqual(await inspect(engine, '.Config.Cmd'), ['node', '--enable-source-maps', 'dist/main.js']);
        assert.deepEqual((await inspect(engine, '.Config.Entrypoint')) ?? [], []);
        return `version ${label('version')}, revision ${label('revision')?.slice(0, 12)}`;
      },
    ],
    [
      'the stack starts: the service, and Redis as it should be',
      async () => {
        await engine.compose('up', '-d', '--no-build');
        await ready(WORKERS);
        await until('Redis is there', async () => (await readyz(WORKERS)).store.state === 'ok', READY_WITHIN_MS);
        const redis = await containerOf(engine, 'redis');
        const told = await engine.docker('exec', redis, 'redis-cli', 'info');
        assert.match(told, /^aof_enabled:1\r?$/m);
        assert.match(told, /^maxmemory_policy:noeviction\r?$/m);
        assert.equal(await health('redis'), 'PONG');
        return `Redis ${/^redis_version:([\d.]+)/m.exec(told)?.[1]}, append-only file, noeviction`;
      },
    ],
    [
      'the worker port is on the loopback address, Redis on none',
      async () => {
        type Bindings = Record<string, { HostIp: string }[]> | null;
        const bindings = async (service: string): Promise<Bindings> =>
          inspect(engine, '.HostConfig.PortBindings', await containerOf(engine, service));
        assert.equal((await bindings(SERVICE))?.['8081/tcp']?.[0]?.HostIp, '127.0.0.1');
        assert.deepEqual((await bindings('redis')) ?? {}, {});
        return undefined;
      },
    ],
    [
      'a post is answered 200 OK, and a worker that waited for it has it',
      async () => {
        const [value] = await Promise.all([
          token(WORKERS, 'merchant_data=1&wait=20'),
          delay(300).then(() => post(PUBLIC, 'seid=first&merchant_data=1')),
        ]);
        assert.equal(value, 'first');
        const without = await fetch(`${WORKERS}/v1/tokens?merchant_data=1`);
        assert.equal(without.status, 401, 'without the key of the env file');
        return undefined;
      },
    ],
    [
      'not root, no capability, no new privileges, and node is process 1',
      async () => {
        const status = await inside('process.stdout.write(require("fs").readFileSync("/proc/1/status", "utf8"))');
        assert.match(status, /^Name:\s+(node|MainThread)$/m);
        assert.match(status, /^Uid:\s+1000\s+1000\s/m);
        assert.match(status, /^CapEff:\s+0{16}$/m);
        assert.match(status, /^NoNewPrivs:\s+1$/m);
        return inside('process.stdout.write("Node " + process.version)');
      },
    ],
    [
      'the root file system is read-only, DATA_DIR is not',
      async () => {
        const tried = await inside(
          `for (const file of ['/app/x', '/etc/x', '/data/x']) try { fs.writeFileSync(file, ''); console.log('yes') } catch (e) { console.log(e.code) }`,
        );
        assert.deepEqual(tried.split('\n'), ['EROFS', 'EROFS', 'yes']);
        return undefined;
      },
    ],
    [
      "production's packages only, and a bill of them",
      async () => {
        const [bill, development] = (
          await inside(
            `console.log(JSON.parse(fs.readFileSync('sbom.cdx.json', 'utf8')).components.length); console.log(['typescript', 'vitest', '@biomejs'].filter((name) => fs.existsSync('node_modules/' + name)).join() || 'none')`,
          )
        ).split('\n');
        assert.ok(Number(bill) > 10, `${bill} components`);
        assert.equal(development, 'none');
        return `${bill} components`;
      },
    ],
    [
      'the health command says well, and says ill where nobody listens',
      async () => {
        assert.equal(await health(SERVICE), 'ok');
        await assert.rejects(health(SERVICE, '--env', 'WORKER_URL=http://127.0.0.1:1'), /no answer/);
        const command = await healthCommand(SERVICE);
        assert.deepEqual(command.slice(0, 3), ['node', 'dist/cli/main.js', 'health']);
        return command.join(' ');
      },
    ],
    [
      'Redis away: a post is answered 200 OK, and read back at once',
      async () => {
        await engine.compose('stop', 'redis');
        await post(PUBLIC, 'seid=without-redis&merchant_data=2');
        assert.equal(await token(WORKERS, 'merchant_data=2&wait=5'), 'without-redis');
        return undefined;
      },
    ],
    [
      'SIGTERM: a worker that waits is sent away, exit 0; started again without Redis, all is there',
      async () => {
        const id = await containerOf(engine, SERVICE);
        const stop = async (): Promise<number> => {
          await until('the worker waits', async () => (await readyz(WORKERS)).waiters.parked === 1, READY_WITHIN_MS);
          const start = performance.now();
          await engine.docker('stop', id);
          return performance.now() - start;
        };
        const waiting = fetch(`${WORKERS}/v1/tokens?merchant_data=3&wait=30`, { headers: AUTHORIZED });
        const [answer, took] = await Promise.all([waiting, stop()]);
        assert.equal(answer.status, 503);
        assert.equal(await inspect(engine, '.State.ExitCode', id), 0);
        assert.ok(took < STOPS_WITHIN_MS, `took ${took} ms`);
        const again = performance.now();
        await engine.docker('start', id);
        await ready(WORKERS);
        const [started, sinceCommand] = [Date.now(), performance.now() - again];
        const since = started - Date.parse(await inspect<string>(engine, '.State.StartedAt', id));
        assert.equal(await token(WORKERS, 'merchant_data=2&wait=5'), 'without-redis');
        return `stopped in ${took.toFixed(0)} ms; ready ${since} ms after its process began, ${sinceCommand.toFixed(0)} ms after the start command`;
      },
    ],
    [
      'Redis back: what was kept without it is there, and what it kept',
      async () => {
        await engine.compose('start', 'redis');
        assert.equal(await token(WORKERS, 'merchant_data=1&wait=20'), 'first');
        assert.equal(await token(WORKERS, 'merchant_data=2&wait=20'), 'without-redis');
        return undefined;
      },
    ],
    ['profile simulator: a requested token arrives', () => simulated(engine)],
    ['profile scale: a rolling update behind nginx loses no post', () => scaled(engine)],
  ];
}
