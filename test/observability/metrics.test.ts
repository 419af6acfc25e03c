/** The metrics: what they count, and that the dashboard and the alerts use only existing ones. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RunningService } from '../support/service.ts';

let service: RunningService;
let text: string;

beforeAll(async () => {
  service = await RunningService.start();
  await service.post({ seid: 'x'.repeat(64), merchant_data: '1' });
  await service.post({ seid: 'x'.repeat(64), merchant_data: '1' });
  await service.post({ seid: 'y'.repeat(64), merchant_data: '1' });
  await service.post({});
  await service.worker('PUT', '/v1/claims/a', { body: { merchant_data: '1' } });
  await service.worker('DELETE', '/v1/claims/a');
  await service.worker('GET', '/v1/tokens?sid=none');
  text = (await service.worker('GET', '/metrics')).text;
});
afterAll(() => service.stop());

const figure = (series: string): number | undefined => {
  const line = text.split('\n').find((one) => one.startsWith(`carat_authenticity_${series} `));
  return line === undefined ? undefined : Number(line.split(' ').at(-1));
};

describe('the metrics', () => {
  it.each([
    ['posts_total{merchant="default",kind="seid",outcome="kept"}', 2],
    ['posts_total{merchant="default",kind="seid",outcome="known"}', 1],
    ['posts_total{merchant="default",kind="none",outcome="empty"}', 1],
    ['answers_not_ok_total{merchant="default"}', 0],
    ['answer_seconds_count{merchant="default"}', 4],
    ['handovers_total{merchant="default",kind="seid",how="claim"}', 1],
    ['handover_seconds_count{merchant="default",kind="seid",how="claim"}', 1],
    ['worker_requests_total{merchant="default",how="read",outcome="nothing"}', 1],
    ['settled_total{merchant="default",what="used"}', 1],
    ['conflicts_total{merchant="default"}', 1],
    ['leases_lost_total{merchant="default"}', 0],
    ['store_operation_seconds_count{operation="put",outcome="ok"}', 3],
    ['waiters{merchant="default"}', 0],
    ['store_state{state="ok"}', 1],
    ['fallback_pending', 0],
    ['expired_total{merchant="default",kind="seid",what="orphan"}', 0],
  ])('count %s', (series, value) => {
    expect(figure(series)).toBe(value);
  });

  it.each([
    ...['kept', 'known', 'unexpected', 'deferred', 'late', 'failed'].map(
      (one) => `posts_total{merchant="default",kind="nit",outcome="${one}"}`,
    ),
    ...['empty', 'not_a_form', 'not_allowed'].map(
      (one) => `posts_total{merchant="default",kind="none",outcome="${one}"}`,
    ),
    'answer_seconds_count{merchant="default"}',
    'worker_requests_total{merchant="default",how="claim",outcome="too_many_waiters"}',
    'handovers_total{merchant="default",kind="nit",how="read"}',
    'handover_seconds_count{merchant="default",kind="nit",how="read"}',
    'redeliveries_total{merchant="default",kind="nit"}',
    'leases_lost_total{merchant="default"}',
    'conflicts_total{merchant="default"}',
    'expired_total{merchant="default",kind="nit",what="no_show"}',
    'store_operation_seconds_count{operation="cancel",outcome="away"}',
  ])('start with %s at 0, so that the first event is an increase', async (series) => {
    const fresh = await RunningService.start();
    const metrics = (await fresh.worker('GET', '/metrics')).text;
    await fresh.stop();
    expect(metrics).toContain(`\ncarat_authenticity_${series} 0\n`);
  });

  it('show the free space of DATA_DIR, and no certificate expiry without a certificate', () => {
    expect(figure('data_dir_available_bytes')).toBeGreaterThan(0);
    expect(figure('certificate_expiry_timestamp_seconds')).toBeUndefined();
  });

  it.each(['deploy/grafana/dashboard.json', 'deploy/prometheus/alerts.yml', 'docs/operator-page.md'])(
    'exist for all names in %s',
    async (file) => {
      const names = (await readFile(new URL(`../../${file}`, import.meta.url), 'utf8')).match(
        /\b(carat_authenticity|nodejs|process)_[a-z0-9_]+/g,
      );
      const known = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name as string);
      const unknown = (names ?? []).filter((name) => {
        return !known.includes(name) && !known.includes(name.replace(/_(bucket|count|sum)$/, ''));
      });
      expect(names?.length).toBeGreaterThan(5);
      expect(unknown).toEqual([]);
    },
  );
});
