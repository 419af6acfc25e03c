/**
 * The processes of the command line: reconnects, interrupts, and output for programs and people.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GuardedFolder } from '../support/guarded-folder.ts';
import { freePort, LOOPBACK } from '../support/ports.ts';
import { RestartableService } from '../support/restartable-service.ts';
import { COMMANDS, type Ran, type Running, runCli, runCliOnTerminal, startCli } from '../support/run.ts';
import { startProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';

const INTERRUPTED = 130;

let service: RestartableService;
let env: Record<string, string>;
let open: (() => Promise<unknown>)[];
beforeEach(async () => {
  open = [];
  service = await RestartableService.start();
  env = { WORKER_URL: service.workerUrl, AUTHENTICITY_URL: service.authenticityUrl };
});
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
  await service.stop();
});

const started = (args: readonly string[], more: Record<string, string> = {}): Running => {
  const running = startCli(args, { ...env, ...more });
  open.push(async () => {
    running.child.kill('SIGKILL');
    await running.ended;
  });
  return running;
};
const linesOf = (out: string): Record<string, unknown>[] =>
  out
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
const sidsOf = (tail: Running): unknown[] =>
  linesOf(tail.out())
    .filter(({ event }) => event === 'post')
    .map(({ sid }) => sid);
/** Posts until one is seen: the reader gets only posts after its start. */
const followed = (tail: Running): Promise<unknown> =>
  until('it follows', async () => {
    await service.post({ seid: 'x', sid: 'first' });
    return sidsOf(tail).includes('first');
  });
const post = (sid: string) => service.post({ seid: sid.padEnd(64, 'x'), sid });

describe('tail', () => {
  it('reconnects after a restart of the service, and reports a possible gap', async () => {
    const tail = started(['tail', '--json']);
    await followed(tail);
    await service.suspend();
    await service.resume();
    await until('it follows again', async () => {
      await post('again');
      return sidsOf(tail).includes('again');
    });
    const notes = linesOf(tail.out()).filter(({ id }) => id === undefined);
    expect(notes.map(({ event }) => event)).toEqual(['end', 'gap']);
    tail.child.kill('SIGINT');
    expect(await tail.ended).toMatchObject({ code: INTERRUPTED, error: '' });
  });

  it('misses and repeats nothing when only the network was down', async () => {
    const proxy = await startProxy({ host: LOOPBACK, port: service.workerPort });
    open.push(() => proxy.stop());
    const tail = started(['tail', '--json'], { WORKER_URL: `http://${proxy.host}:${proxy.port}` });
    await followed(tail);
    const before = sidsOf(tail).length;
    await proxy.mode({ kind: 'refuse' });
    proxy.cut();
    await post('missed');
    await proxy.mode({ kind: 'pass' });
    await post('later');
    await until('both are reported', () => sidsOf(tail).includes('missed') && sidsOf(tail).includes('later'));
    expect(
      sidsOf(tail)
        .slice(before)
        .filter((sid) => sid !== 'first'),
    ).toEqual(['missed', 'later']);
    // Also while it cannot reach anything.
    await service.suspend();
    tail.child.kill('SIGTERM');
    expect((await tail.ended).code).toBe(INTERRUPTED);
  });

  it('ends when no service runs at its start', async () => {
    const nobody = `http://${LOOPBACK}:${await freePort()}`;
    expect(await runCli(['tail'], { WORKER_URL: nobody })).toMatchObject({ code: 4, out: '' });
  });

  it.each([
    [['--event', 'pots'], 'did you mean post?'],
    [['--event', 'post,hand-over'], 'did you mean handover?'],
    [['--kind', 'tokn'], 'did you mean token?'],
    [['--count', '0'], 'expected a number of 1 or more'],
  ])('refuses %j', async (args, says) => {
    const ran = await runCli(['tail', ...args], env);
    expect(ran).toMatchObject({ code: 2, error: expect.stringContaining(says) });
  });
});

describe('an interrupted command', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)(
    'that waits ends by %s, frees its waiter, and prints nothing',
    async (signal) => {
      const waiting = started(['wait', '--sid', 'never', '--timeout', '60']);
      await until('it waits', () => service.waiting === 1);
      waiting.child.kill(signal);
      expect(await waiting.ended).toEqual({ code: INTERRUPTED, out: '', error: '' });
      await until('its place is free', () => service.waiting === 0);
    },
  );

  it('ends although the server never answers', async () => {
    let asked = 0;
    const server: Server = createServer(() => {
      asked += 1;
    });
    await new Promise<void>((resolve) => server.listen(0, LOOPBACK, resolve));
    open.push(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    const url = `http://${LOOPBACK}:${(server.address() as AddressInfo).port}/a`;
    const doctor = started(['doctor', url, '--timeout', '600']);
    await until('it asks', () => asked > 0);
    doctor.child.kill('SIGINT');
    expect((await doctor.ended).code).toBe(INTERRUPTED);
  });
});

describe('with --json', () => {
  const told = (ran: Ran): Record<string, unknown>[] => {
    expect(ran).toMatchObject({ code: 0, error: '' });
    return linesOf(ran.out);
  };

  it('each command prints one object, or one object per line if it keeps running', async () => {
    const tail = started(['tail', '--json', '--count', '1', '--event', 'settled']);
    const [sent] = told(await runCli(['send', '--kind', 'token', '--value', 'pooled', '--json'], env));
    expect(sent).toMatchObject({ status: 200, fields: { token: 'pooled' } });
    const claim = ['claim', '--kind', 'token', '--json', '--id'];
    expect(told(await runCli([...claim, 'job-1'], env))).toMatchObject([{ value: 'pooled', claim: { id: 'job-1' } }]);
    expect(told(await runCli(['release', 'job-1', '--json'], env))).toEqual([{ ok: true, claim: 'job-1' }]);
    await runCli([...claim, 'job-2'], env);
    expect(told(await runCli(['used', 'job-2', '--json'], env))).toEqual([{ ok: true, claim: 'job-2' }]);
    await post('S1');
    expect(told(await runCli(['wait', '--sid', 'S1', '--json'], env))).toMatchObject([{ sid: 'S1', claim: null }]);
    expect(told(await runCli(['health', '--json'], env))).toMatchObject([{ ok: true, status: 200, store: {} }]);
    const [verdict] = told(
      await runCli(['doctor', service.authenticityUrl, '--worker', service.workerUrl, '--json'], env),
    );
    expect(verdict).toMatchObject({ ok: true, url: service.authenticityUrl, findings: expect.any(Array) });
    expect(told(await tail.ended)).toMatchObject([{ event: 'settled' }]);
  });

  it('the servers print objects, too, and stop in an orderly way', async () => {
    const folder = await GuardedFolder.make('serve-');
    open.push(() => folder.remove());
    const [port, workerPort, simulatorPort] = [await freePort(), await freePort(), await freePort()];
    const own = { HOST: LOOPBACK, PORT: `${port}`, WORKER_PORT: `${workerPort}`, DATA_DIR: folder.path };
    const serve = started(['serve', '--json'], own);
    const simulator = started(['simulator', '--json', '--port', `${simulatorPort}`]);
    for (const server of [serve, simulator]) {
      await until('it listens', () => linesOf(server.out()).some(({ event }) => event === 'listening'));
      server.child.kill('SIGTERM');
      expect(await server.ended).toMatchObject({ code: 0, error: '' });
      expect(linesOf(server.out()).length).toBeGreaterThan(0);
    }
  });

  it.each([
    [['wait', '--sid', 'x', '--json', '--worker', `http://${LOOPBACK}:1`, '--timeout', '0'], 4, 'unreachable'],
    [['used', 'nobody', '--json'], 1, 'unknown_claim'],
    [['wait', '--json'], 2, 'usage'],
  ])('%j: an error is one object, exit %i', async (args, exit, error) => {
    const ran = await runCli(args, env);
    expect([ran.code, ran.out]).toEqual([exit, '']);
    expect(linesOf(ran.error)).toEqual([{ error, exit, message: expect.any(String) }]);
  });
});

describe.each(COMMANDS)('%s', (name) => {
  it('names the nearest option for an unknown one', async () => {
    const ran = await runCli([name, '--jsom']);
    expect(ran).toMatchObject({ code: 2, out: '', error: expect.stringContaining('did you mean --json?') });
    expect(ran.error.trim().split('\n')).toHaveLength(1);
  });
});

describe('on a terminal', () => {
  it('prints colours', async () => {
    expect((await runCliOnTerminal(['health'], env)).out).toContain('\u001b[32mok\u001b[0m');
  });

  it.each([{ NO_COLOR: '1' }, { TERM: 'dumb' }])('prints no colours with %o', async (wish) => {
    expect((await runCliOnTerminal(['health'], { ...env, ...wish })).out.trim()).toBe('ok');
  });

  it('prints an overview and exits 2 without a command, and prints the version', async () => {
    expect(await runCliOnTerminal([])).toMatchObject({ code: 2, out: expect.stringContaining('Commands:') });
    expect((await runCli(['--version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
