/**
 * The operators' handbook names only existing metrics, log lines, notices and outcomes. It has
 * every notice.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PROBLEMS } from '../../src/listeners/workers/schemas/problems.ts';
import { Metrics } from '../../src/observability/metrics.ts';
import { UNUSABLE_REASONS } from '../../src/token.ts';
import { ROOT } from '../support/build.ts';
import { startRedis } from '../support/redis.ts';
import { RestartableService } from '../support/restartable-service.ts';
import { until } from '../support/until.ts';

/** Leaves no connection open for a later test. */
const ALONE = { headers: { connection: 'close' } };

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const files = execFileSync('git', ['ls-files', 'src'], { cwd: ROOT }).toString().trim().split('\n');
const SOURCE = files.filter((path) => !/^src\/(carat|simulator|demo|cli|client)\//.test(path)).map(read);

/** The codes of notices in the sources. */
const TROUBLES = new Set([
  ...SOURCE.flatMap((text) => [
    ...text.matchAll(
      /(?:#tell|#report|#notify|trouble|onNotice)\(\s*(?:\{ level: )?'(?:info|warn|error)',\s*(?:code: )?'([a-z_]+)'/g,
    ),
    ...text.matchAll(/(?:#report|new Misconfigured)\(\s*'(redis_[a-z_]+)'/g),
    ...text.matchAll(/\bwarn\(\s*'(redis_[a-z_]+)'/g),
    ...text.matchAll(/code: '((?:recharge|alert_webhook)_[a-z_]+)'/g),
    ...text.matchAll(/what === 'merge' \? '(merging)'/g),
    ...text.matchAll(/what === 'merge' \? 'merging' : '(restoring)'/g),
  ]).map(([, code = '']) => code),
  'seal_broken',
  'bug',
]);
/** The other events of log lines. */
const EVENTS = new Set(
  SOURCE.flatMap((text) => [...text.matchAll(/(?:\bevent: |\{ name: (?='\w+', merchant))'([a-z_]+)'/g)]).map(
    ([, event = '']) => event,
  ),
);

const names = async (): Promise<string[]> => {
  const metrics = new Metrics();
  metrics.watch({
    version: '',
    merchants: [],
    waitersOf: () => 0,
    maxWaiters: 0,
    health: () => ({ kind: 'redis', state: 'ok' }),
    dataDir: '.',
    certificateExpiresAt: () => 0,
    droppedLines: () => 0,
  });
  metrics.watchRecharges([], () => 0);
  return (await metrics.registry.getMetricsAsJSON()).map(({ name }) => name);
};

describe.each(['docs/operations.md', 'docs/pt-BR/operations.md'])('%s', (path) => {
  const text = read(path);

  it('names only existing metrics', async () => {
    const known = await names();
    const named = [...text.matchAll(/\b(carat_authenticity_[a-z_]+)/g)].map(([, name = '']) => name);
    expect(named.length).toBeGreaterThan(15);
    expect(named.filter((name) => !known.includes(name))).toEqual([]);
  });

  it('names only existing log lines and notices', () => {
    const cells = text.split('\n').filter((line) => line.startsWith('| log |'));
    const codes = cells.flatMap((line) => [...line.matchAll(/`([a-z]+(?:_[a-z]+)*)`/g)].map(([, code = '']) => code));
    const facts = [
      'outcome',
      'aside',
      'late',
      'failed',
      'unexpected',
      'records',
      'batches',
      'skips',
      'seconds',
      'guard_undo',
    ];
    expect(cells.length).toBeGreaterThan(10);
    expect(codes.filter((code) => ![...TROUBLES, ...EVENTS, ...facts].includes(code))).toEqual([]);
  });

  it('has every notice of the service', () => {
    expect(TROUBLES.size).toBeGreaterThan(17);
    expect([...TROUBLES].filter((code) => !text.includes(`\`${code}\``) && !text.includes(`code="${code}"`))).toEqual(
      [],
    );
  });

  it('has every alert', () => {
    const alerts = [...read('deploy/prometheus/alerts.yml').matchAll(/- alert: (\w+)/g)].map(([, name = '']) => name);
    expect(alerts.length).toBeGreaterThan(8);
    expect(alerts.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });

  it('has every reason of an unusable post', () => {
    expect(UNUSABLE_REASONS.filter((reason) => !text.includes(`\`${reason}\``))).toEqual([]);
  });

  it('names only existing problems of the worker API', () => {
    const named = [...text.matchAll(/`([45]\d\d) ([a-z_]+)`/g)].map(([, status, code]) => ({ status, code }));
    expect(named.length).toBeGreaterThan(2);
    for (const { status, code } of named) {
      expect(PROBLEMS).toHaveProperty(code as string);
      expect(String(PROBLEMS[code as keyof typeof PROBLEMS].status)).toBe(status);
    }
  });
});

it('shows the real answer of readyz', async () => {
  const [, shown = ''] = /^```json\n(.*?)^```$/ms.exec(read('docs/operations.md')) ?? [];
  const redis = await startRedis();
  const service = await RestartableService.start({ STORE_URL: redis.url });
  const ready = async (): Promise<unknown> => (await fetch(`${service.workerUrl}/readyz`, ALONE)).json();
  await until('it is as it is shown', async () => JSON.stringify(await ready()) === shown.trim());
  await service.stop();
  await redis.stop();
});
