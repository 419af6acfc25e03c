/** What is looked at in the running containers, in this order: each look leaves the stack as the next one wants it. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../support/until.ts';
import { type Engine, KEY } from './engine.ts';

const PUBLIC = 'http://127.0.0.1:8080';
const WORKERS = 'http://127.0.0.1:8081';
const SERVICE = 'carat-authenticity';
const READY_WITHIN_MS = 60_000;

export type Check = readonly [what: string, look: () => Promise<string | undefined>];

export function checks(engine: Engine): Check[] {
  const inside = async (script: string): Promise<string> =>
    engine.docker('exec', await engine.container(SERVICE), 'node', '-e', script);
  return [
    [
      'the image: its size and its labels',
      async () => {
        const labels = JSON.parse(await engine.inspect('.Config.Labels')) as Record<string, string>;
        assert.equal(labels['org.opencontainers.image.title'], SERVICE);
        assert.equal(labels['org.opencontainers.image.licenses'], 'MIT');
        const bytes = Number(await engine.inspect('.Size'));
        return `${(bytes / 1e6).toFixed(0)} MB unpacked`;
      },
    ],
    [
      'the image: nobody special, one volume, SIGTERM',
      async () => {
        assert.equal(await engine.inspect('.Config.User'), '"1000:1000"');
        assert.equal(await engine.inspect('.Config.Volumes'), '{"/data":{}}');
        return undefined;
      },
    ],
    [
      'the stack starts: the service and Redis',
      async () => {
        await engine.compose('up', '-d', '--no-build');
        await ready(WORKERS);
        await until('Redis is there', async () => (await readyz(WORKERS)).includes('"ready"'), READY_WITHIN_MS);
        return readyz(WORKERS);
      },
    ],
    [
      'the worker port is on the loopback address, Redis on none',
      async () => {
        const ports = await engine.inspect('.HostConfig.PortBindings', await engine.container(SERVICE));
        const bound = JSON.parse(ports) as Record<string, { HostIp: string }[]>;
        assert.equal(bound['8081/tcp']?.[0]?.HostIp, '127.0.0.1');
        const redis = await engine.inspect('.HostConfig.PortBindings', await engine.container('redis'));
        assert.ok(redis === '{}' || redis === 'null', redis);
        return undefined;
      },
    ],
    [
      'a post is answered 200 OK, and a worker that waited for it has it',
      async () => {
        const waiting = token(WORKERS, 'merchant_data=1&wait=20');
        await delay(300);
        await post(PUBLIC, 'seid=first&merchant_data=1');
        assert.equal(await waiting, 'first');
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
        return undefined;
      },
    ],
    [
      'the root file system is read-only, DATA_DIR is not',
      async () => {
        const tried = await inside(
          `for (const file of ['/app/x', '/tmp/x', '/data/x']) try { fs.writeFileSync(file, ''); console.log('yes') } catch (e) { console.log(e.code) }`,
        );
        const [app, tmp, data] = tried.split('\n');
        assert.deepEqual([app, data], ['EROFS', 'yes']);
        return `/tmp: ${tmp}`;
      },
    ],
    [
      'the health command says well, and says ill where nobody listens',
      async () => {
        const test = JSON.parse(await engine.inspect('.Config.Healthcheck.Test')) as string[];
        const id = await engine.container(SERVICE);
        await engine.docker('exec', id, ...test.slice(1));
        const elsewhere = ['--env', 'WORKER_PORT=1', '--env', 'PORT=1'];
        await assert.rejects(engine.docker('exec', ...elsewhere, id, ...test.slice(1)));
        return test.slice(1, 3).join(' ').slice(0, 60);
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
      'SIGTERM: exit 0, and all is there after a start without Redis',
      async () => {
        const id = await engine.container(SERVICE);
        const start = performance.now();
        await engine.docker('stop', id);
        const took = performance.now() - start;
        assert.equal(await engine.inspect('.State.ExitCode', id), '0');
        assert.ok(took < 10_000, `took ${took} ms`);
        const again = performance.now();
        await engine.docker('start', id);
        await ready(WORKERS);
        const started = performance.now() - again;
        assert.equal(await token(WORKERS, 'merchant_data=2&wait=5'), 'without-redis');
        return `stopped in ${took.toFixed(0)} ms, ready ${started.toFixed(0)} ms after the start command`;
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
    ['profile simulator: a token asked of it comes by itself', () => simulated(engine)],
    ['profile scale: a rolling update behind nginx loses no post', () => scaled(engine)],
  ];
}

async function simulated(engine: Engine): Promise<undefined> {
  await engine.compose('--profile', 'simulator', 'up', '-d', '--no-build', 'simulator');
  const headers = { merchant_id: 'LOJA1', merchant_key: 'KEY', 'content-type': 'application/json' };
  const ask = async (): Promise<boolean> =>
    (await fetch('http://127.0.0.1:8090/e-sitef/api/v1/token', { headers })).status === 200;
  await until('the simulator gives a token', ask, READY_WITHIN_MS);
  const claimed = await fetch(`${WORKERS}/v1/claims/job-1`, {
    method: 'PUT',
    headers: { ...AUTHORIZED, 'content-type': 'application/json' },
    body: '{"kind":"token","wait":20}',
  });
  assert.equal(claimed.status, 200, await claimed.text());
  return undefined;
}

async function scaled(engine: Engine): Promise<string> {
  await engine.compose('--profile', 'scale', 'up', '-d', '--no-build', 'nginx');
  const [entry, workers] = ['http://127.0.0.1:8082', 'http://127.0.0.1:8083'];
  await ready(workers);
  let posts = 0;
  let isOver = false;
  const posting = (async () => {
    for (; !isOver; posts++) {
      await post(entry, `seid=scale-${posts}&merchant_data=scale-${posts}`);
      assert.equal(await token(workers, `merchant_data=scale-${posts}&wait=5`), `scale-${posts}`);
    }
  })();
  try {
    for (const instance of ['instance-1', 'instance-2']) {
      const id = await engine.container(instance);
      await engine.docker('stop', id);
      await delay(500);
      await engine.docker('start', id);
      const healthy = engine.docker('exec', id, 'node', '-e', IS_READY);
      await until(`${instance} is ready`, () => healthy.then(() => true), READY_WITHIN_MS);
    }
  } finally {
    isOver = true;
    await posting;
  }
  return `${posts} posts, all handed over`;
}

/** Waits inside the container, so that the other instance is stopped only when this one serves. */
const IS_READY = `(async () => { for (;;) { try { if ((await fetch('http://127.0.0.1:8081/readyz')).ok) break } catch {} await new Promise(r => setTimeout(r, 50)) } })()`;

const AUTHORIZED = { authorization: `Bearer ${KEY}` };

async function post(url: string, form: string): Promise<void> {
  const answer = await fetch(`${url}/authenticity`, { method: 'POST', body: new URLSearchParams(form) });
  assert.equal(`${answer.status} ${await answer.text()}`, '200 OK');
}

/** The value of a token, asked for again when an instance that stops sends the worker away. */
async function token(url: string, query: string): Promise<string> {
  const ask = async (): Promise<string | undefined> => {
    const answer = await fetch(`${url}/v1/tokens?${query}`, { headers: AUTHORIZED });
    const body = await answer.text();
    assert.ok([200, 204, 503].includes(answer.status), `${answer.status} ${body}`);
    return answer.status === 200 ? (JSON.parse(body) as { value: string }).value : undefined;
  };
  return until(`a token under ${query}`, ask, READY_WITHIN_MS);
}

async function readyz(url: string): Promise<string> {
  return (await fetch(`${url}/readyz`)).text();
}

async function ready(url: string): Promise<void> {
  await until(`${url} is ready`, async () => (await fetch(`${url}/readyz`)).ok, READY_WITHIN_MS);
}
