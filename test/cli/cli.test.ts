/** The command line as processes, against the service. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { workerUrl } from '../../src/cli/worker.ts';
import { RestartableService } from '../support/restartable-service.ts';
import { COMMANDS, runCli } from '../support/run.ts';
import { until } from '../support/until.ts';

const KEY = 'a-key-that-nobody-may-see';
let service: RestartableService;
let env: Record<string, string>;
beforeEach(async () => {
  service = await RestartableService.start({
    AUTHENTICITY_PATHS: 'default=/authenticity,other=/other',
    WORKER_API_KEYS: `${KEY},other:${KEY}-of-other`,
  });
  env = { WORKER_URL: service.workerUrl, WORKER_API_KEY: KEY, AUTHENTICITY_URL: service.authenticityUrl };
});
afterEach(() => service.stop());

describe.each([
  ['seid', ['merchant_data', '--merchant-data']],
  ['nit', ['merchantUSN', '--merchant-usn']],
  ['cancellation', ['pedido', '--order-id']],
] as const)('send --kind %s', (kind, [field, option]) => {
  it('posts a token that `wait` receives', async () => {
    const sent = await runCli(['send', '--kind', kind, '--json'], env);
    expect(sent.code).toBe(0);
    const { status, fields } = JSON.parse(sent.out);
    expect(status).toBe(200);
    const waited = await runCli(['wait', option, fields[field], '--timeout', '5'], env);
    expect(waited).toEqual({ code: 0, out: `${fields.seid ?? fields.nit}\n`, error: '' });
  });
});

it('claims from the pool, releases, claims again, and uses', async () => {
  expect((await runCli(['send', '--kind', 'token', '--value', 'pooled'], env)).code).toBe(0);
  expect(await runCli(['claim', '--kind', 'token', '--id', 'job-1'], env)).toMatchObject({ code: 0, out: 'pooled\n' });
  expect((await runCli(['release', 'job-1'], env)).code).toBe(0);
  const again = await runCli(['claim', '--kind', 'token', '--id', 'job-2', '--json'], env);
  expect(JSON.parse(again.out)).toMatchObject({ value: 'pooled', claim: { id: 'job-2', deliveries: 2 } });
  expect((await runCli(['used', 'job-2'], env)).code).toBe(0);
  expect((await runCli(['used', 'job-1'], env)).code).toBe(6);
  expect(await runCli(['claim', '--kind', 'token', '--timeout', '0'], env)).toEqual({ code: 3, out: '', error: '' });
});

it('waits until its token arrives', async () => {
  const waiting = runCli(['wait', '--sid', 'never', '--timeout', '60'], env);
  await until('it waits', () => service.waiting === 1);
  await service.post({ seid: 'late', sid: 'never' });
  expect((await waiting).out).toBe('late\n');
});

it('tails the events of one merchant, filtered and without tokens', async () => {
  const all = runCli(['tail', '--json', '--count', '2', '--event', 'post,handover', '--since', 'x'], env);
  const other = runCli(['tail', '--count', '1', '--since', 'x'], { ...env, WORKER_API_KEY: `${KEY}-of-other` });
  await service.post({ seid: 'secret-value', sid: 'S1' });
  await runCli(['wait', '--sid', 'S1'], env);
  await service.post({ nit: 'other-secret', nsu: '7' }, '/other');
  const { code, out } = await all;
  const events = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(code).toBe(0);
  expect(events.filter(({ event }) => event === 'post')[0]).toMatchObject({
    outcome: 'kept',
    sid: 'S1',
    merchant: 'default',
  });
  const seen = await other;
  expect(seen.out).toContain('merchant_usn=7');
  expect(seen.out).not.toContain('default');
  expect(out + seen.out).not.toMatch(/secret/);
});

it.each([
  [{}, 'http://127.0.0.1:8081'],
  [{ WORKER_HOST: '', WORKER_PORT: '' }, 'http://127.0.0.1:8081'],
  [{ WORKER_HOST: '0.0.0.0', WORKER_PORT: '9000' }, 'http://127.0.0.1:9000'],
  [{ WORKER_HOST: '::' }, 'http://[::1]:8081'],
  [{ WORKER_HOST: '::1', WORKER_PORT: '9000' }, 'http://[::1]:9000'],
  [{ WORKER_HOST: '10.0.0.7' }, 'http://10.0.0.7:8081'],
  [{ WORKER_HOST: '10.0.0.7', WORKER_URL: 'http://workers' }, 'http://workers'],
])('finds the worker listener of %j', (given, url) => {
  expect(workerUrl({ values: {} } as never, { env: given } as never)).toBe(url);
});

it('reports the health by its exit code', async () => {
  expect(await runCli(['health'], env)).toEqual({ code: 0, out: 'ok\n', error: '' });
  expect((await runCli(['health', '--live', '--json'], env)).out).toContain('"status":200');
  await service.suspend();
  expect(await runCli(['health'], env)).toEqual({ code: 1, out: '', error: 'no answer\n' });
  expect((await runCli(['wait', '--sid', 'x', '--timeout', '0'], env)).code).toBe(4);
});

it.each([
  [['doctr'], 2, 'did you mean doctor?'],
  [['wait', '--merchant-dta', 'x'], 2, 'did you mean --merchant-data?'],
  [['wait', '--sid'], 2, '--sid needs a value'],
  [['wait', '--sid', 'x', '--order-id', 'y'], 2, 'expected one of'],
  [['wait', '--sid', 'x', '--timeout', 'soon'], 2, 'expected seconds'],
  [['wait', '--sid', 'x', '--worker', 'nonsense'], 2, 'expected the address'],
  [['wait', '--sid', 'x', '--key', 'wrong'], 5, 'unauthorized'],
  [['claim', '--kind', 'token', '--key', `${KEY}-of-other`], 5, 'forbidden'],
  [['tail', '--key', 'wrong'], 5, 'unauthorized'],
  [['doctor', 'carat'], 2, 'expected an http or https address'],
  [['health', 'now'], 2, 'expected no argument'],
])('%j: one clear line, exit %i', async (args, code, says) => {
  const ran = await runCli(args, env);
  expect(ran.code).toBe(code);
  expect(ran.error).toContain(says);
  expect(ran.error.trim().split('\n')).toHaveLength(1);
  expect(ran.out + ran.error).not.toContain('nobody-may-see');
});

it('prints help, without colours when the output is not a terminal', async () => {
  const all = await runCli(['--help']);
  for (const name of COMMANDS) expect(all.out).toContain(`  ${name} `);
  for (const name of COMMANDS) {
    const { code, out } = await runCli([name, '--help']);
    expect(code).toBe(0);
    expect(out).toContain(`Usage: carat-authenticity ${name}`);
    expect(out).not.toContain('\u001b');
  }
});
