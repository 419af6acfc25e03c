/** `/v1/events` on real sockets: what is streamed to whom, from where on, and for how long. */
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EmbeddedBench } from '../../support/embedded.ts';
import { EventStream, type EventStreamOptions } from '../../support/event-stream.ts';
import { RawConnection, rawRequest } from '../../support/raw-http.ts';
import { RunningService } from '../../support/service.ts';
import { telling } from '../../support/spoiled-stores.ts';
import { until } from '../../support/until.ts';
import { expectProblem } from './problem.ts';

const ALL = 'a-key-of-all-merchants';
const ONE = 'a-key-of-default';
const TWO = 'a-key-of-the-loja2';
const SEID = 's'.repeat(64);
/** How many are kept for those who come back. */
const KEPT = 1000;

let running: RunningService;
let bench: EmbeddedBench;
let tell: (message: string) => void;
let streams: EventStream[];
beforeEach(async () => {
  bench = await EmbeddedBench.make();
  const spoilt = telling(bench.store);
  tell = spoilt.tell;
  streams = [];
  running = await RunningService.start({
    store: spoilt.store,
    env: {
      AUTHENTICITY_PATHS: 'default=/authenticity,loja2=/two',
      WORKER_API_KEYS: `${ALL},default:${ONE},loja2:${TWO}`,
    },
  });
});
afterEach(async () => {
  for (const stream of streams) stream.close();
  await running.stop();
  await bench.remove();
});

async function follow(options: EventStreamOptions = {}): Promise<EventStream> {
  const stream = await EventStream.open(running.service.workerUrl, { key: ALL, ...options });
  streams.push(stream);
  if (stream.status === 200) await until('it follows', () => stream.text.startsWith(': following\n\n'));
  return stream;
}

const post = (merchantData: string, path?: string) => running.post({ seid: SEID, merchant_data: merchantData }, path);
const isPost =
  (merchantData: string) =>
  ({ name, data }: { name: string; data: { merchant_data?: string } }) =>
    name === 'post' && data.merchant_data === merchantData;

describe('/v1/events', () => {
  it('streams redacted events that no cache may keep', async () => {
    const stream = await follow();
    expect(stream.headers).toMatchObject({ 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    await post('M1');
    await running.worker('GET', '/v1/tokens?merchant_data=M1', { key: ALL });
    const { id, data } = await stream.until('the post', isPost('M1'));
    expect(data).toMatchObject({ merchant: 'default', kind: 'seid', outcome: 'kept', from: '127.0.0.1' });
    expect(new Date(data.at).toISOString()).toBe(data.at);
    expect(id).toMatch(new RegExp(`^${data.instance}-\\d+$`));
    await stream.until('the handover', ({ name }) => name === 'handover');
    expect(stream.text).not.toContain(SEID);
  });

  it('continues after Last-Event-ID without loss or repetition', async () => {
    const first = await follow();
    for (const name of ['M1', 'M2', 'M3']) await post(name);
    const { id } = await first.until('the first post', isPost('M1'));
    await first.until('the third post', isPost('M3'));
    first.close();
    const second = await follow({ lastId: id });
    await post('M4');
    await second.until('the fourth post', isPost('M4'));
    expect(second.events.map(({ name, data }) => `${name} ${data.merchant_data}`)).toEqual([
      'post M2',
      'post M3',
      'post M4',
    ]);
  });

  it('reports a gap when events after Last-Event-ID are lost, and sends the rest', async () => {
    await post('M1');
    const stream = await follow({ lastId: 'another-instance-7' });
    await stream.until('the post', isPost('M1'));
    expect(stream.events[0]).toMatchObject({ name: 'gap', id: undefined, data: { why: expect.any(String) } });
  });

  it('sends all kept events to a reader that comes back, at any size', async () => {
    const first = await follow();
    await post('M1');
    const { id } = await first.until('the post', isPost('M1'));
    const long = 'long '.repeat(200);
    for (let at = 1; at < KEPT; at++) tell(`${at} ${long}`);
    const second = await follow({ lastId: id });
    await second.until('the last', ({ data }) => data.message?.startsWith(`${KEPT - 1} `));
    expect(second.events.map(({ data }) => Number.parseInt(data.message, 10))).toEqual(
      Array.from({ length: KEPT - 1 }, (_, at) => at + 1),
    );
    expect(second.ended).toBe(false);
  });

  it('sends a heartbeat while nothing happens', async () => {
    // The service's own clocks were made before, and go on.
    vi.useFakeTimers({ toFake: ['setInterval'] });
    try {
      const stream = await follow();
      for (const beats of [1, 2]) {
        vi.advanceTimersByTime(15_000);
        await until('it beats', () => stream.text.split(': still here\n\n').length === beats + 1);
      }
      expect(stream.events).toEqual([]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('drops a reader that is too slow with a note, keeps the others, and logs it', async () => {
    const [slow, quick] = [await follow(), await follow()];
    slow.pause();
    // More than the kernel holds for a connection, and more events than are kept.
    const long = 'long '.repeat(4000);
    let told = 0;
    await until('the slow one is dropped', async () => {
      for (let at = 0; at < 100; at++) tell(`${++told} ${long}`);
      const { text } = await running.worker('GET', '/metrics', { key: ALL });
      return /^carat_authenticity_troubles_total\{code="slow_reader"\} 1$/m.test(text);
    });
    slow.resume();
    await slow.isEnded();
    expect(slow.events.at(-1)).toMatchObject({ name: 'dropped', id: undefined, data: { why: 'too slow' } });
    await quick.until('the last', ({ data }) => data.message?.startsWith(`${told} `));
    expect(quick.ended).toBe(false);
    // It continues where it was, and gets a note about lost events.
    const back = await follow({ lastId: slow.events.at(-2)?.id });
    await back.until('what is lost', ({ name }) => name === 'gap');
  });

  it('has room for 100 readers, and refuses more until one leaves', async () => {
    await Promise.all(Array.from({ length: 100 }, () => follow()));
    const refused = await running.worker('GET', '/v1/events', { key: ALL });
    expectProblem(refused, 503, 'too_many_readers');
    expect(refused.headers['retry-after']).toBe('1');
    streams[7]?.close();
    await until('there is room again', async () => (await follow()).status === 200);
  });

  it("keeps places for other merchants and operators when one merchant's key opens as many streams as it can", async () => {
    const two = (): Promise<EventStream> => follow({ key: TWO });
    // Half of the places is divided among two merchants and the operators: 17 each.
    await Promise.all(Array.from({ length: 66 }, two));
    for (const path of ['/v1/events', '/operator/changes']) {
      expectProblem(await running.worker('GET', path, { key: TWO }), 503, 'too_many_readers');
    }
    for (const key of [ONE, ALL]) expect((await follow({ key })).status).toBe(200);
    streams[0]?.close();
    await until('it has room again', async () => (await two()).status === 200);
  });

  it('frees the place of a reader behind another request on its connection', async () => {
    const { hostname, port } = new URL(running.service.workerUrl);
    const socket = connect(Number(port), hostname);
    const get = (path: string): string =>
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${ALL}\r\n\r\n`;
    // The server stops reading a connection on which too much waits to be sent.
    socket.write(get('/v1/tokens?sid=never&wait=60') + get('/v1/events').repeat(20));
    await Promise.all(Array.from({ length: 80 }, () => follow()));
    expectProblem(await running.worker('GET', '/v1/events', { key: ALL }), 503, 'too_many_readers');
    socket.destroy();
    await until('there is room again', async () => (await follow()).status === 200);
  });

  it('ends with a last event when the service stops', async () => {
    const stream = await follow();
    await running.service.stop();
    await stream.isEnded();
    expect(stream.events.at(-1)).toEqual({ id: undefined, name: 'end', data: { why: 'stopping' } });
  });

  it('does not delay a stop, even when the client does not read', async () => {
    const [stuck, quick] = [await follow(), await follow()];
    stuck.pause();
    const long = 'long '.repeat(4000);
    for (let at = 1; at < KEPT; at++) tell(`${at} ${long}`);
    await quick.until('the last', ({ data }) => data.message?.startsWith(`${KEPT - 1} `));
    await running.service.stop();
    stuck.resume();
    await stuck.isEnded();
    expect(stuck.events.length).toBeLessThan(KEPT - 1);
  });

  it('shows a key of one merchant no event of other merchants or of the service', async () => {
    const [two, all] = [await follow({ key: TWO }), await follow()];
    const named = await follow({ merchant: 'loja2' });
    tell('disk');
    await post('M1');
    await post('M2', '/two');
    await all.until('the second post', isPost('M2'));
    expect(all.events.map(({ name }) => name)).toEqual(['trouble', 'post', 'post']);
    for (const stream of [two, named]) {
      await stream.until('its post', isPost('M2'));
      expect(stream.events).toHaveLength(1);
    }
    // The id of another merchant's event is accepted, and gives no access to it.
    const back = await follow({ key: TWO, lastId: all.events[0]?.id });
    await back.until('its post', isPost('M2'));
    expect(back.events).toHaveLength(1);
    expect(back.text).not.toMatch(/M1|disk|default/);
  });

  it('requires a key, its own merchant and an existing one', async () => {
    const ask = (path: string, key?: string) => running.worker('GET', path, key === undefined ? {} : { key });
    expectProblem(await ask('/v1/events'), 401, 'unauthorized');
    expectProblem(await ask('/v1/events?merchant=default', TWO), 403, 'forbidden');
    expectProblem(await ask('/v1/events?merchant=nobody', ALL), 400, 'invalid_request');
    expectProblem(await ask('/v1/events?kind=seid', ALL), 400, 'invalid_request');
  });
});

describe('/operator/changes', () => {
  const CHANGED = 'data: changed\n\n';

  it('signals a change once for simultaneous events, without their content', async () => {
    const stream = await follow({ path: '/operator/changes' });
    for (let at = 0; at < 100; at++) tell(`${at}`);
    await until('it is reported', () => stream.text.endsWith(CHANGED));
    const before = stream.text;
    await post('M1');
    await until('it is reported again', () => stream.text.length > before.length);
    expect(stream.text.replaceAll(CHANGED, '')).toBe(': following\n\n');
    expect(stream.text.split(CHANGED).length - 1).toBeLessThan(10);
  });

  it("signals only the merchant's own changes to its key, and requires a key", async () => {
    const [two, all] = [await follow({ path: '/operator/changes', key: TWO }), await follow()];
    await post('M1');
    await all.until('the post of another', isPost('M1'));
    await post('M2', '/two');
    await until('its own post', () => two.text.endsWith(CHANGED));
    expect(two.text).toBe(`: following\n\n${CHANGED}`);
    expectProblem(await running.worker('GET', '/operator/changes'), 401, 'unauthorized');
  });

  it('ends when the service stops', async () => {
    const stream = await follow({ path: '/operator/changes' });
    await running.service.stop();
    await stream.isEnded();
  });
});

describe('/v1/posts', () => {
  it('lists the last posts with their outcome, newest first, up to the limit', async () => {
    for (const name of ['M1', 'M2', 'M3']) await running.post({ seid: `${name}${SEID}`, merchant_data: name });
    await running.post({});
    await running.worker('GET', '/v1/tokens?merchant_data=M3', { key: ALL });
    const posts = async (search: string) =>
      (await running.worker('GET', `/v1/posts${search}`, { key: ALL })).json.posts;
    await until('all are reported', async () => (await posts('')).length === 4);
    expect(await posts('?limit=2')).toMatchObject([
      { outcome: 'unusable', reason: 'empty' },
      { outcome: 'kept', merchant_data: 'M3', became: 'read', handed_over_after_ms: expect.any(Number) },
    ]);
    const all = await posts('?limit=500');
    expect(all[3]).toMatchObject({ merchant_data: 'M1', became: 'waiting', handed_over_after_ms: null });
    expect(JSON.stringify(all)).not.toContain(SEID);
  });

  it('names the fields that could not be read, like the log and the page', async () => {
    const connection = await RawConnection.open(Number(new URL(running.service.authenticityUrl).port));
    const requests = [
      { headers: [['Content-Type', 'text/plain; x="SeCrEt"']] as const, body: 'seid=SeCrEt' },
      { headers: [['Content-Type', 'SeCrEt']] as const, body: 'seid=SeCrEt' },
      { headers: [['Content-Encoding', 'gzip, SeCrEt']] as const, body: 'seid=SeCrEt' },
      { body: 'seid=Se CrEt' },
      { body: `seid=${SEID}&merchant_data=SeCrEt%00&sid=mine` },
      { headers: [['Content-Length', '100']] as const, body: 'seid=SeCrEt' },
    ];
    for (const request of requests) connection.write(rawRequest(request));
    connection.halfClose();
    await connection.isClosed();
    const posts = async () => (await running.worker('GET', '/v1/posts', { key: ALL })).json.posts;
    await until('all are recorded', async () => (await posts()).length === requests.length);
    const expected = [
      { reason: 'not_a_form', content_type: 'text/plain' },
      { reason: 'not_a_form', content_type: 'malformed' },
      { reason: 'not_a_form', content_encoding: 'gzip' },
      { reason: 'bad_value', dropped: ['seid'] },
      { outcome: 'kept', sid: 'mine', dropped: ['merchant_data'] },
      { reason: 'cut_off' },
    ];
    expect((await posts()).reverse()).toMatchObject(expected);
    const log = running.log.filter((line) => line.includes('"event":"post"'));
    expect(log.map((line) => JSON.parse(line))).toMatchObject([
      { outcome: 'not_a_form', contentType: 'text/plain' },
      { outcome: 'not_a_form', contentType: 'malformed' },
      { outcome: 'not_a_form', contentEncoding: 'gzip' },
      { outcome: 'bad_value', dropped: ['seid'] },
      { outcome: 'kept', dropped: ['merchant_data'] },
      { outcome: 'cut_off' },
    ]);
    const { text: page } = await running.worker('GET', '/', { key: ALL });
    for (const part of ['text/plain', 'gzip', 'Not readable: merchant_data', 'cut off']) expect(page).toContain(part);
    for (const seen of [page, log.join(), JSON.stringify(await posts())]) expect(seen).not.toContain('CrEt');
  });

  it('shows a key of one merchant only its own posts', async () => {
    await post('M1');
    await post('M2', '/two');
    const seen = async (key: string, search = '') =>
      (await running.worker('GET', `/v1/posts${search}`, { key })).json.posts.map(
        (one: { merchant_data: string }) => one.merchant_data,
      );
    await until('both are reported', async () => (await seen(ALL)).length === 2);
    expect(await seen(ALL)).toEqual(['M2', 'M1']);
    expect(await seen(TWO)).toEqual(['M2']);
    expect(await seen(ALL, '?merchant=default')).toEqual(['M1']);
  });

  it.each(['0', '501', '1000', '-1', '1.5', 'ten', ''])('refuses a wrong limit: %j', async (limit) => {
    const answer = await running.worker('GET', `/v1/posts?limit=${limit}`, { key: ALL });
    expectProblem(answer, 400, 'invalid_request');
    expect(answer.json.errors).toEqual([expect.objectContaining({ parameter: 'limit' })]);
  });

  it('requires a key, and its own merchant', async () => {
    expectProblem(await running.worker('GET', '/v1/posts'), 401, 'unauthorized');
    expectProblem(await running.worker('GET', '/v1/posts?merchant=default', { key: TWO }), 403, 'forbidden');
  });
});
