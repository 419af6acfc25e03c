/**
 * The alert rules under promtool: each fires for its condition only, and names a section of the
 * handbook.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { run } from '../support/run.ts';
import { findTool, type Tool } from '../support/tools.ts';

const PROJECT = new URL('../../', import.meta.url).pathname;
const read = (file: string): Promise<string> => readFile(join(PROJECT, file), 'utf8');

interface Rule {
  alert: string;
  annotations: { summary: string; runbook_url: string };
}

interface Case {
  /** Values by minute, in promtool's notation, by series. */
  series: Record<string, string>;
  /** Labels of the alert that fires after 20 minutes; none when it must be silent. */
  fires?: Record<string, string>;
}

const shop = '{instance="i1",merchant="shop"';
const posts = (kind: string, outcome: string): string =>
  `carat_authenticity_posts_total${shop},kind="${kind}",outcome="${outcome}"}`;
const expired = (what: string): string => `carat_authenticity_expired_total${shop},kind="seid",what="${what}"}`;
const answers = (le: string): string => `carat_authenticity_answer_seconds_bucket${shop},le="${le}"}`;
const waiters = (merchant: string): string => `carat_authenticity_waiters{instance="i1",merchant="${merchant}"}`;
const max = 'carat_authenticity_waiters_max{instance="i1"}';
const ends = 'carat_authenticity_certificate_expiry_timestamp_seconds{instance="i1"}';
const probed = 'probe_ssl_earliest_cert_expiry{instance="i2",job="carat-authenticity-url"}';
const days = (count: number): string => `${count * 86_400}x20`;
const merchant = { merchant: 'shop' };
const instance = { instance: 'i1' };

/** By alert: at least one case that fires, and one that does not. */
const CASES: Record<string, Case[]> = {
  AuthenticityInstanceDown: [
    {
      series: { 'up{instance="i1",job="carat-authenticity"}': '1x17 0 0 0' },
      fires: { ...instance, job: 'carat-authenticity' },
    },
    { series: { 'up{instance="i1",job="carat-authenticity"}': '1x20' } },
    { series: { 'up{instance="i1",job="another"}': '0x20' } },
  ],
  AuthenticityAnswerNotOk: [
    {
      series: { [`carat_authenticity_answers_not_ok_total${shop}}`]: '0x18 1 1' },
      fires: { ...instance, ...merchant },
    },
    { series: { [`carat_authenticity_answers_not_ok_total${shop}}`]: '0x20' } },
  ],
  AuthenticityAnswersSlow: [
    { series: { [answers('0.5')]: '0+50x20', [answers('1')]: '0+100x20', [answers('+Inf')]: '0+100x20' }, fires: {} },
    { series: { [answers('0.5')]: '0+100x20', [answers('1')]: '0+100x20', [answers('+Inf')]: '0+100x20' } },
  ],
  // The first lost post fires it: the series exists at 0 from the start.
  AuthenticityPostsLost: [
    { series: { [posts('seid', 'failed')]: '0x18 1 1' }, fires: merchant },
    { series: { [posts('token', 'late')]: '0x18 1 1' }, fires: merchant },
    { series: { [posts('seid', 'failed')]: '0x20', [posts('seid', 'kept')]: '0+100x20' } },
  ],
  AuthenticityStoreAway: [
    {
      series: { 'carat_authenticity_store_state{instance="i1",state="ok"}': '1x17 0 0 0' },
      fires: { ...instance, state: 'ok' },
    },
    { series: { 'carat_authenticity_store_state{instance="i1",state="ok"}': '1x20' } },
  ],
  AuthenticityFallbackOld: [
    { series: { 'carat_authenticity_fallback_pending_age_seconds{instance="i1"}': '0x12 60+60x7' }, fires: instance },
    { series: { 'carat_authenticity_fallback_pending_age_seconds{instance="i1"}': '0x17 60 120 180' } },
  ],
  AuthenticityDiskSpace: [
    { series: { 'carat_authenticity_data_dir_available_bytes{instance="i1"}': '400000000x20' }, fires: instance },
    { series: { 'carat_authenticity_data_dir_available_bytes{instance="i1"}': '600000000x20' } },
  ],
  AuthenticityCertificateEnds: [
    { series: { [ends]: days(13) }, fires: instance },
    { series: { [probed]: days(13) }, fires: { instance: 'i2', job: 'carat-authenticity-url' } },
    { series: { [ends]: days(15), [probed]: days(15) } },
  ],
  AuthenticityNoShows: [
    { series: { [expired('no_show')]: '0x14 6x5' }, fires: merchant },
    { series: { [expired('no_show')]: '0x14 3x5', [expired('orphan')]: '0x14 9x5' } },
  ],
  AuthenticityOrphans: [
    { series: { [expired('orphan')]: '0x14 6x5' }, fires: merchant },
    { series: { [expired('orphan')]: '0x14 3x5', [expired('no_show')]: '0x14 9x5' } },
  ],
  AuthenticityUnusablePosts: [
    { series: { [posts('none', 'empty')]: '0x14 15x5', [posts('none', 'no_token')]: '0x14 15x5' }, fires: merchant },
    { series: { [posts('none', 'empty')]: '0x14 9x5', [posts('seid', 'kept')]: '0x14 99x5' } },
  ],
  AuthenticityWaitersFull: [
    { series: { [waiters('shop')]: '60x20', [waiters('other')]: '25x20', [max]: '100x20' }, fires: instance },
    { series: { [waiters('shop')]: '50x20', [waiters('other')]: '25x20', [max]: '100x20' } },
  ],
  AuthenticityWaitersRefused: [
    {
      series: {
        [`carat_authenticity_worker_requests_total${shop},how="read",outcome="too_many_waiters"}`]: '0x18 1 1',
      },
      fires: merchant,
    },
    { series: { [`carat_authenticity_worker_requests_total${shop},how="read",outcome="nothing"}`]: '0+5x20' } },
  ],
};

let promtool: Tool;
let rules: Rule[];
beforeAll(async () => {
  promtool = await findTool('promtool');
  rules = parse(await read('deploy/prometheus/alerts.yml')).groups.flatMap((group: { rules: Rule[] }) => group.rules);
});

async function inFolder(files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'promtool-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

describe('the alert rules', () => {
  test.each(Object.entries(CASES))('%s fires for its condition only', async (name, cases) => {
    expect(cases.some(({ fires }) => fires !== undefined) && cases.some(({ fires }) => fires === undefined)).toBe(true);
    const rule = rules.find(({ alert }) => alert === name) as Rule & { labels: object };
    const tests = cases.map(({ series, fires }) => ({
      interval: '1m',
      input_series: Object.entries(series).map(([one, values]) => ({ series: one, values })),
      alert_rule_test: [
        {
          eval_time: '19m',
          alertname: name,
          exp_alerts: fires === undefined ? [] : [{ exp_labels: { ...rule.labels, ...fires } }],
        },
      ],
    }));
    // This does not test the text of the annotations.
    const bare = { groups: [{ name: 'one', rules: [{ ...rule, annotations: undefined }] }] };
    const folder = await inFolder({
      'rules.yml': stringify(bare),
      'test.yml': stringify({ rule_files: ['rules.yml'], tests }),
    });
    const { code, out, error } = await run(promtool.path, ['test', 'rules', join(folder, 'test.yml')], promtool.env);
    expect(`${out}${error}`).toContain('SUCCESS');
    expect(code).toBe(0);
  });

  test('are all tested', () => {
    expect(rules.map(({ alert }) => alert)).toEqual(Object.keys(CASES));
  });

  test('name a section of the handbook', async () => {
    const headings = [...(await read('docs/operations.md')).matchAll(/^## (.*)$/gm)].map(([, text = '']) =>
      text
        .toLowerCase()
        .replace(/[^a-z0-9 -]/g, '')
        .replaceAll(' ', '-'),
    );
    for (const { annotations } of rules) {
      expect(annotations.runbook_url).toMatch(/^docs\/operations\.md#/);
      expect(headings).toContain(annotations.runbook_url.split('#')[1]);
    }
  });

  test('are valid for promtool, with the scrape configuration', async () => {
    const folder = await inFolder({ key: 'a-key', 'alerts.yml': await read('deploy/prometheus/alerts.yml') });
    const text = await read('deploy/prometheus/prometheus.yml');
    const config = text.replace('/etc/prometheus/carat-authenticity.key', join(folder, 'key'));
    await writeFile(join(folder, 'prometheus.yml'), config);
    const args = ['check', 'config', join(folder, 'prometheus.yml')];
    const { code, out, error } = await run(promtool.path, args, promtool.env);
    expect({ code, text: `${out}${error}` }).toEqual({
      code: 0,
      text: expect.stringContaining(`${rules.length} rules found`),
    });
  });
});
