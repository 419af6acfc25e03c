/** The alert webhook, before a real receiver that takes, refuses, hangs, redirects or is not there. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  type AlertBody,
  AlertWebhook,
  type AlertWebhookOptions,
  alertBody,
} from '../../src/observability/alert-webhook.ts';
import { Events } from '../../src/observability/events.ts';
import type { Notice } from '../../src/store/notice.ts';
import { Collector } from '../support/collector.ts';
import { latch } from '../support/latch.ts';
import { RunningService } from '../support/service.ts';
import { until } from '../support/until.ts';

const SECRET = 'T0SECRET/B0SECRET';
const HOUR_MS = 3_600_000;

let receiver: Collector;
let events: Events;
let notices: Notice[];
let outcomes: string[];
let webhooks: AlertWebhook[];
beforeEach(async () => {
  receiver = await Collector.start();
  events = new Events();
  notices = [];
  outcomes = [];
  webhooks = [];
});
afterEach(async () => {
  for (const webhook of webhooks) await webhook.stop();
  await receiver.stop();
  expect(JSON.stringify(notices)).not.toContain('SECRET');
});

function start(pace: AlertWebhookOptions['pace'] = {}, url = `${receiver.url}/services/${SECRET}`): AlertWebhook {
  const webhook = new AlertWebhook({
    url,
    events,
    onNotice: (notice) => notices.push(notice),
    onPosted: (outcome) => outcomes.push(outcome),
    pace: { everyMs: HOUR_MS, gatherMs: 50, ...pace },
  });
  webhooks.push(webhook);
  webhook.start();
  return webhook;
}

const notice = (code: string, level: Notice['level'] = 'error', message = `${code} happened`): void =>
  events.emit({ name: 'trouble', merchant: undefined, facts: { level, code, message } });
const noShow = (merchant: string): void =>
  events.emit({ name: 'no_show', merchant, facts: { what: 'no_show', kind: 'seid', expectation: 'e' } });
const orphan = { name: 'orphan', merchant: 'loja1', facts: { what: 'orphan', kind: 'nit', id: 'token' } } as const;
const post = (outcome: string): void =>
  events.emit({ name: 'post', merchant: 'loja1', facts: { outcome, from: '192.0.2.1' } });

function body(at = 0): AlertBody {
  return JSON.parse(receiver.requests[at]?.body ?? '');
}

const posted = (count: number): Promise<true> =>
  until(`${count} POSTs ended`, () => outcomes.length === count) as Promise<true>;

it('sends simultaneous notices in one POST, grouped by code and merchant', async () => {
  start();
  notice('disk_failed', 'error', 'first');
  notice('disk_failed', 'error', 'second <!channel>');
  noShow('loja1');
  noShow('loja1');
  noShow('loja2');
  events.emit(orphan);
  post('failed');
  await posted(1);
  const { text, alerts, source, instance, more } = body();
  expect({ source, instance, more }).toEqual({ source: 'carat-authenticity', instance: events.instance, more: 0 });
  expect(alerts.map(({ code, merchant, count }) => [code, merchant, count])).toEqual([
    ['disk_failed', undefined, 2],
    ['no_show', 'loja1', 2],
    ['no_show', 'loja2', 1],
    ['orphan', 'loja1', 1],
    ['post_failed', 'loja1', 1],
  ]);
  expect(alerts[0]).toMatchObject({ message: 'second  !channel ', first_at: expect.stringMatching(/^\d{4}-.*Z$/) });
  expect(text).toContain('2 × disk_failed: second');
  expect(text).toContain('2 × no_show (loja1)');
  expect(receiver.requests[0]).toMatchObject({
    url: `/services/${SECRET}`,
    headers: { 'content-type': 'application/json' },
  });
});

/** What a workflow of Teams posts: each card of `attachments`, as Microsoft documents it. */
const TEAMS_MESSAGE = {
  type: 'object',
  required: ['type', 'attachments'],
  properties: {
    type: { const: 'message' },
    attachments: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        required: ['contentType', 'content'],
        additionalProperties: false,
        properties: {
          contentType: { const: 'application/vnd.microsoft.card.adaptive' },
          contentUrl: { const: null },
          content: {
            type: 'object',
            required: ['type', 'version', 'body'],
            additionalProperties: false,
            properties: {
              $schema: { const: 'http://adaptivecards.io/schemas/adaptive-card.json' },
              type: { const: 'AdaptiveCard' },
              version: { enum: ['1.0', '1.1', '1.2', '1.3', '1.4', '1.5'] },
              body: {
                type: 'array',
                minItems: 1,
                items: {
                  type: 'object',
                  required: ['type', 'text'],
                  additionalProperties: false,
                  properties: {
                    type: { const: 'TextBlock' },
                    text: { type: 'string', minLength: 1 },
                    wrap: { type: 'boolean' },
                  },
                },
              },
            },
          },
        },
      },
    },
  },
};
/** What an incoming webhook of Slack needs. It has cards of another kind, under the same name. */
const SLACK_MESSAGE = {
  type: 'object',
  required: ['text'],
  properties: {
    text: { type: 'string', minLength: 1, maxLength: 40_000, pattern: '^[^<>]*$' },
    attachments: false,
    blocks: false,
    type: false,
  },
};
const fits = (schema: object, message: unknown): boolean => new Ajv2020().validate(schema, message);
/** The longest message that Teams takes. */
const TEAMS_BYTES = 28 * 1024;

it('holds a card that Teams shows, no longer than Teams takes it', async () => {
  start();
  for (let at = 0; at < 80; at++) notice(`a_code_as_long_as_they_come_${at}`, 'error', 'x'.repeat(1000));
  await posted(1);
  expect(fits(TEAMS_MESSAGE, body())).toBe(true);
  const { text, attachments = [] } = body();
  expect(attachments.map(({ content }) => content.body[0]?.text)).toEqual([text]);
  expect(Buffer.byteLength(JSON.stringify(attachments))).toBeLessThan(TEAMS_BYTES);
});

it.each([
  ['https://hooks.slack.com/services/T0/B0/X', true],
  ['https://hooks.slack-gov.com/services/T0/B0/X', true],
  ['https://hooks.notslack.com/services/T0/B0/X', false],
  ['https://a.b.environment.api.powerplatform.com/workflows/1/triggers/manual/paths/invoke?sig=hooks.slack.com', false],
])('knows whether %s is of Slack, which gets no card', (url, isSlack) => {
  const group = { code: 'orphan', merchant: 'loja1', count: 1, firstAt: 0, lastAt: 0, message: 'token expired unread' };
  const sent = alertBody(url, 'host-1', [group], 0);
  expect([fits(SLACK_MESSAGE, sent), fits(TEAMS_MESSAGE, sent)]).toEqual([isSlack, !isSlack]);
  expect(sent).toMatchObject({ text: expect.stringContaining('1 × orphan (loja1): token expired unread'), more: 0 });
});

it('sends nothing for warnings, kept posts and events of other instances', async () => {
  const webhook = start();
  notice('redis_eviction', 'warn');
  post('kept');
  events.emit({ name: 'lease_lost', merchant: 'loja1', facts: { claimId: 'job-1' } });
  events.receive({ ...orphan, id: 'x-1', instance: 'another', at: Date.now() });
  await webhook.stop();
  expect(receiver.requests).toEqual([]);
});

it('sends no second POST within the minute, not even at a stop', async () => {
  const webhook = start();
  notice('one');
  await posted(1);
  notice('two');
  await webhook.stop();
  expect(receiver.requests).toHaveLength(1);
});

it('sends later notices with the next POST', async () => {
  start({ everyMs: 100 });
  notice('one');
  await posted(1);
  notice('two');
  await posted(2);
  expect(body(1).alerts.map(({ code }) => code)).toEqual(['two']);
});

it('sends the pending notices at a stop', async () => {
  const webhook = start({ gatherMs: HOUR_MS });
  notice('one');
  await webhook.stop();
  expect(body().alerts.map(({ code }) => code)).toEqual(['one']);
});

it('keeps refused notices, counts them, and reports the first failure and the recovery', async () => {
  receiver.status = 500;
  start({ everyMs: 50 });
  notice('one');
  await until('it failed twice', () => outcomes.length >= 2);
  notice('one');
  receiver.status = 200;
  await until('it was taken', () => outcomes.includes('sent'));
  expect(outcomes.slice(0, 2)).toEqual(['failed', 'failed']);
  const last = body(receiver.requests.length - 1);
  expect(last.alerts).toEqual([expect.objectContaining({ code: 'one', count: 2 })]);
  expect(notices.map(({ level, code }) => [level, code])).toEqual([
    ['warn', 'alert_webhook_failed'],
    ['info', 'alert_webhook_back'],
  ]);
  expect(notices[0]?.message).toContain('it answered 500');
});

it('does not follow a redirect', async () => {
  receiver.status = 302;
  start();
  notice('one');
  await posted(1);
  expect(outcomes).toEqual(['failed']);
  expect(receiver.requests).toHaveLength(1);
});

it('reports an unreachable receiver by its error code only', async () => {
  const gone = await Collector.start();
  const { url } = gone;
  await gone.stop();
  start({}, `${url}/${SECRET}`);
  notice('one');
  await posted(1);
  expect(notices.map(({ message }) => message)).toEqual([
    expect.stringContaining('it cannot be reached: ECONNREFUSED'),
  ]);
});

it('times out on a receiver that hangs, and continues with the notices of that time', async () => {
  const hangs = latch();
  receiver.answers = hangs.opened;
  start({ timeoutMs: 50, everyMs: 50 });
  notice('one');
  await until('it gave up', () => outcomes.includes('failed'));
  notice('two');
  hangs.open();
  receiver.answers = Promise.resolve();
  await until('it was taken', () => outcomes.includes('sent'));
  expect(body(receiver.requests.length - 1).alerts.map(({ code }) => code)).toEqual(expect.arrayContaining(['one']));
  expect(notices[0]?.message).toContain('TimeoutError');
});

it('stops while the receiver hangs', async () => {
  receiver.answers = new Promise(() => {});
  const webhook = start();
  notice('one');
  await until('it was sent', () => receiver.requests.length === 1);
  await webhook.stop();
  expect(outcomes).toEqual(['failed']);
});

it('keeps at most 50 groups, and counts the rest', async () => {
  start();
  for (let at = 0; at < 80; at++) notice(`code_${at}`);
  await posted(1);
  expect(body().alerts).toHaveLength(50);
  expect(body()).toMatchObject({ more: 30, text: expect.stringContaining('30 × further codes') });
});

it('posts orphans of a service without their token, and counts the POST in /metrics', async () => {
  const env = { ALERT_WEBHOOK_URL: `${receiver.url}/${SECRET}`, TOKEN_TTL_SECONDS: '1' };
  const service = await RunningService.start({ env });
  const value = 'a'.repeat(64);
  await service.post({ seid: value, merchant_data: 'a1' });
  await until('it was posted', () => receiver.requests.length === 1);
  expect(body().alerts).toEqual([expect.objectContaining({ code: 'orphan', merchant: 'default', count: 1 })]);
  expect(receiver.requests[0]?.body).not.toContain(value);
  const line = 'carat_authenticity_alert_posts_total{outcome="sent"} 1';
  await until('it is counted', async () => (await service.worker('GET', '/metrics')).text.includes(line));
  await service.stop();
  expect(service.log.join('\n')).not.toContain('SECRET');
});

it('answers Carat and stops while the receiver hangs', async () => {
  receiver.answers = new Promise(() => {});
  const service = await RunningService.start({
    env: { ALERT_WEBHOOK_URL: `${receiver.url}/${SECRET}`, TOKEN_TTL_SECONDS: '1' },
  });
  await service.post({ seid: 'b'.repeat(64) });
  await until('it was posted', () => receiver.requests.length === 1);
  expect(await service.post({ seid: 'c'.repeat(64) })).toMatchObject({ status: 200, text: 'OK' });
  await service.stop();
  expect(service.log.join('\n')).not.toContain('SECRET');
});
