/**
 * The relay of events between instances: complete while Redis is there. Without Redis, nothing
 * waits or grows.
 */
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseStoreUrl } from '../../src/config/store-url.ts';
import { Events } from '../../src/observability/events.ts';
import type { InstanceState } from '../../src/observability/relay/message.ts';
import { Relay } from '../../src/observability/relay/relay.ts';
import type { Channel } from '../../src/store/contract.ts';
import { RedisChannel } from '../../src/store/redis/channel.ts';
import { EventStream, type StreamedEvent } from '../support/event-stream.ts';
import { Instance } from '../support/instance.ts';
import { LOOPBACK } from '../support/ports.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { startProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';

const value = (): string => randomBytes(32).toString('hex');

let redis: RedisServer;
let proxy: TcpProxy;
beforeAll(async () => {
  redis = await startRedis();
  proxy = await startProxy({ host: LOOPBACK, port: redis.port });
});
afterAll(async () => {
  await proxy?.stop();
  await redis?.stop();
});
const throughProxy = (): string => `redis://${proxy.host}:${proxy.port}`;

const streams: EventStream[] = [];
afterEach(() => {
  for (const stream of streams.splice(0)) stream.close();
});
async function follow(instance: Instance, lastId?: string): Promise<EventStream> {
  const stream = await EventStream.open(instance.at.workerUrl, { lastId });
  streams.push(stream);
  await until('it follows', () => stream.text !== '');
  return stream;
}
const isPost =
  (sid: string) =>
  ({ name, data }: StreamedEvent): boolean =>
    name === 'post' && data.sid === sid;
/** Reads after the event of `seen`: expects the later events of both, and no others. */
async function followAfter(instance: Instance, id: string | undefined): Promise<void> {
  const stream = await follow(instance, id);
  await stream.until('what came to the one', isPost('missed-at-a'));
  await stream.until('what came to the other', isPost('missed-at-b'));
  expect(stream.events.filter(({ name, data }) => name === 'gap' || data.sid === 'seen')).toEqual([]);
}

describe('two instances show each other', () => {
  /** The first one reaches Redis through the proxy. */
  let a: Instance;
  let b: Instance;
  beforeAll(async () => {
    a = await Instance.start(throughProxy());
    b = await Instance.start(redis.url);
    await a.settled();
    await b.settled();
    for (const instance of [a, b]) {
      await instance.post({ seid: value(), sid: 'first' });
      const [first] = await until('it is reported', async () => {
        const posts = await postsAt(instance);
        return posts.length > 0 && posts;
      });
      names.set(instance, String(first?.['instance']));
    }
    // They learn of each other once both have subscribed.
    for (const [one, other] of both()) {
      await until('they hear of each other', async () => (await page(one)).includes(nameOf(other)));
    }
  });
  afterAll(async () => {
    await a?.stop();
    await b?.stop();
  });
  const both = (): [Instance, Instance][] => [
    [a, b],
    [b, a],
  ];
  const page = async (instance: Instance): Promise<string> => (await instance.get('/')).text;
  const names = new Map<Instance, string>();
  const nameOf = (instance: Instance): string => names.get(instance) ?? '';
  const postsAt = async (instance: Instance): Promise<Record<string, unknown>[]> =>
    (await instance.get('/v1/posts?limit=500')).body?.['posts'] as Record<string, unknown>[];

  it('under different names', () => {
    expect(new Set(names.values()).size).toBe(2);
  });

  it('posts and their outcome, at whichever instance they arrived or were read', async () => {
    const seen = [await follow(a), await follow(b)];
    await a.post({ seid: value(), sid: 'shown' });
    expect((await b.read({ sid: 'shown', wait: 10 })).status).toBe(200);
    for (const stream of seen) {
      expect((await stream.until('the post', isPost('shown'))).data.instance).toBe(nameOf(a));
      const handover = await stream.until('the handover', ({ name }) => name === 'handover');
      expect(handover.data).toMatchObject({ sid: 'shown', instance: nameOf(b) });
    }
    for (const instance of [a, b]) {
      const post = await until('what became of it', async () =>
        (await postsAt(instance)).find(({ sid, became }) => sid === 'shown' && became === 'read'),
      );
      expect(post).toMatchObject({ instance: nameOf(a), handed_over_after_ms: expect.any(Number) });
    }
  });

  it('waiters, on the page', async () => {
    const waits = [a.read({ sid: 'waits-at-a', wait: 20 }), b.read({ sid: 'waits-at-b', wait: 20 })];
    for (const instance of [a, b]) {
      await until('both are shown', async () => {
        const shown = await page(instance);
        return ['waits-at-a', 'waits-at-b'].every((sid) => shown.includes(sid));
      });
    }
    await Promise.all(['waits-at-a', 'waits-at-b'].map((sid) => a.post({ seid: value(), sid })));
    expect((await Promise.all(waits)).map(({ status }) => status)).toEqual([200, 200]);
  });

  it('the events after an event id of the other', async () => {
    const first = await follow(a);
    await a.post({ seid: value(), sid: 'seen' });
    const { id } = await first.until('the post', isPost('seen'));
    first.close();
    await until('the other has it, too', async () => (await postsAt(b)).some(({ sid }) => sid === 'seen'));
    await a.post({ seid: value(), sid: 'missed-at-a' });
    await b.post({ seid: value(), sid: 'missed-at-b' });
    await followAfter(b, id);
  });
});

it('the relay stops while Redis is away from one instance, delays no post, and resumes afterwards', async () => {
  const a = await Instance.start(throughProxy());
  const b = await Instance.start(redis.url);
  try {
    await a.settled();
    const there = await follow(b);
    await until('it is reported', async () => {
      await a.post({ seid: value(), sid: 'before' });
      return there.events.some(isPost('before'));
    });
    await proxy.mode({ kind: 'blackhole', direction: 'both' });
    const notTold = (): Promise<number> => a.metric('events_not_relayed_total');
    const before = await notTold();
    await until('what happens is dropped', async () => {
      expect(await a.post({ seid: value(), sid: 'dropped' })).toMatchObject({ status: 200 });
      return (await notTold()) > before;
    });
    await proxy.mode({ kind: 'pass' });
    await a.settled();
    await until('it is reported again', async () => {
      await a.post({ seid: value(), sid: 'again' });
      return there.events.some(isPost('again'));
    });
    const here = await follow(a);
    await until('it hears again', async () => {
      await b.post({ seid: value(), sid: 'heard' });
      return here.events.some(isPost('heard'));
    });
  } finally {
    await proxy.mode({ kind: 'pass' });
    await a.stop();
    await b.stop();
  }
});

describe('the relay', () => {
  const texts: string[] = [];
  let goesThrough: boolean;
  let say: (text: string) => void = () => {};
  const channel: Channel = {
    open: (onText) => {
      say = onText;
    },
    send: (text) => goesThrough && texts.push(text) > 0,
    close: () => {},
  };
  const sent = (): { id: string }[] => texts.flatMap((text) => JSON.parse(text).events ?? []);

  it('sends at most 500 events in a batch, and keeps none that cannot be sent', async () => {
    let dropped = 0;
    const events = new Events();
    const self = (): InstanceState => {
      throw new Error('expected no state to be asked for so soon');
    };
    const onDropped = (count: number): void => {
      dropped += count;
    };
    const relay = new Relay({ channel, events, self, onDropped });
    const emit = (claimId: string): void =>
      events.emit({ name: 'lease_lost', merchant: 'default', facts: { claimId } });
    relay.start();
    try {
      goesThrough = true;
      say('{"from":"reader","needs":true}');
      for (let at = 0; at < 600; at++) emit(`first-${at}`);
      await until('a bunch is sent', () => sent().length > 0);
      expect([sent().length, dropped]).toEqual([500, 100]);
      goesThrough = false;
      for (let at = 0; at < 300; at++) emit(`second-${at}`);
      await until('a bunch is dropped', () => dropped === 400);
      goesThrough = true;
      emit('last');
      await until('it goes on', () => sent().length > 500);
      expect(sent().slice(500)).toMatchObject([{ facts: { claimId: 'last' } }]);
    } finally {
      relay.stop();
    }
  });
});

describe('two instances send each other', () => {
  const SIDS = Array.from({ length: 10 }, (_, at) => `unseen-${at}`);
  let own: RedisServer;
  let a: Instance;
  let b: Instance;
  let sniffer: RedisChannel;
  let texts: string[];
  beforeEach(async () => {
    own = await startRedis();
    texts = [];
    sniffer = new RedisChannel(parseStoreUrl(own.url));
    sniffer.open((text) => texts.push(text));
    a = await Instance.start(own.url);
    b = await Instance.start(own.url);
    await a.settled();
    await b.settled();
    await heartbeats();
  });
  afterEach(async () => {
    sniffer.close();
    await a.stop();
    await b.stop();
    await own.stop();
  });

  const messages = () => texts.map((text) => JSON.parse(text));
  /** Resolves after one more heartbeat of each instance. */
  async function heartbeats(): Promise<void> {
    const before = texts.length;
    await until('each sends a heartbeat', () => {
      const names = messages()
        .slice(before)
        .filter(({ state }) => state !== undefined)
        .map(({ from }) => from);
      return new Set(names).size === 2;
    });
  }
  const sentSince = (before: number): unknown[] =>
    messages()
      .slice(before)
      .filter(({ events, past }) => (events ?? past) !== undefined);
  const untilNotNeeded = (): Promise<unknown> =>
    until(
      'the need ends',
      async () => {
        const before = texts.length;
        await a.post({ seid: value(), sid: 'after' });
        await heartbeats();
        return sentSince(before).length === 0;
      },
      40_000,
    );
  const postsAtB = async (): Promise<Record<string, unknown>[]> =>
    (await b.get('/v1/posts?limit=500')).body?.['posts'] as Record<string, unknown>[];
  /** Posts at the one, and reads and uses at the other. */
  async function pass(sid: string): Promise<void> {
    await a.post({ seid: value(), sid });
    const { body } = await b.read({ sid, wait: 10 });
    expect((await b.use(String(body?.['id']))).status).toBe(204);
  }

  it('only heartbeats while nobody reads, and past events to the first reader', async () => {
    for (const sid of SIDS) await pass(sid);
    await heartbeats();
    expect(sentSince(0)).toEqual([]);
    // A reader waits 200 ms for the past. A busy machine may take longer.
    const posts = await until('the past is here', async () => {
      const some = await postsAtB();
      return some.length >= SIDS.length && some;
    });
    expect(posts.map(({ sid, became }) => [sid, became])).toEqual(SIDS.map((sid) => [sid, 'used']).reverse());
    // The past does not come twice.
    expect(await postsAtB()).toEqual(posts);
    expect(messages().filter(({ from, past }) => past !== undefined && from === posts[0]?.['instance'])).toHaveLength(
      1,
    );
  });

  it('events from the first reader to the last', async () => {
    await pass('before');
    const stream = await follow(b);
    const second = await follow(b);
    await a.post({ seid: value(), sid: 'while-two' });
    for (const one of [stream, second]) await one.until('the post', isPost('while-two'));
    second.close();
    await a.post({ seid: value(), sid: 'while-one' });
    await stream.until('the post', isPost('while-one'));
    expect(stream.events.filter(isPost('before'))).toEqual([]);
    stream.close();
    await untilNotNeeded();
    const [last] = await postsAtB();
    expect(last).toMatchObject({ sid: 'after' });
  });

  it('events as long as a reader renews its request', async () => {
    sniffer.send('{"from":"dead-1","needs":true}');
    await until('events are sent', async () => {
      await a.post({ seid: value(), sid: 'needed' });
      return sentSince(0).length > 2;
    });
    await untilNotNeeded();
    expect(await a.metric('events_not_relayed_total')).toBe(0);
  });

  it('events of both that a reader missed while nobody read', async () => {
    const first = await follow(a);
    await a.post({ seid: value(), sid: 'seen' });
    const { id } = await first.until('the post', isPost('seen'));
    first.close();
    await b.post({ seid: value(), sid: 'missed-at-b' });
    await a.post({ seid: value(), sid: 'missed-at-a' });
    await followAfter(b, id);
  });

  it('an expectation that is filled elsewhere before anybody reads', async () => {
    await a.expect({ kind: 'seid', sid: 'met', ttl: 600 });
    await a.expect({ kind: 'seid', sid: 'open', ttl: 600 });
    await b.post({ seid: value(), sid: 'met' });
    const shown = await until('the page shows what is expected', async () => {
      const { text } = await b.get('/');
      const [part = ''] = /<section[^>]*data-part="expected".*?<\/section>/s.exec(text) ?? [];
      return part.includes('>open<') && part;
    });
    expect(shown).not.toContain('>met<');
  });
});

describe('a message from another instance', () => {
  const good = { id: 'x-1', name: 'post', instance: 'x', at: 1, merchant: 'default', facts: {} };

  it.each([
    'nonsense',
    'null',
    JSON.stringify({ events: [good] }),
    ...[{ at: 1e300 }, { at: 'now' }, { at: null }, { id: 1 }, { facts: null }].map((wrong) =>
      JSON.stringify({ from: 'x', events: [{ ...good, ...wrong }] }),
    ),
    JSON.stringify({ from: 'x', state: { waiters: null } }),
  ])('is ignored when it is malformed: %s', (text) => {
    const events = new Events();
    let say: (text: string) => void = () => {};
    const channel: Channel = {
      open: (onText) => {
        say = onText;
      },
      send: () => true,
      close: () => {},
    };
    const relay = new Relay({ channel, events, self: () => expect.unreachable(), onDropped: () => {} });
    relay.start();
    say(text);
    expect([events.end, relay.others()]).toEqual([0, []]);
    say(JSON.stringify({ from: 'x', events: [good] }));
    expect(events.textAt(0)).toContain('"at":"1970-01-01T00:00:00.001Z"');
    relay.stop();
  });
});

describe('the channel', () => {
  it('queues a bounded number of texts on a connection that answers nothing', async () => {
    const channel = new RedisChannel(parseStoreUrl(throughProxy()));
    const heard: string[] = [];
    channel.open((text) => heard.push(text));
    try {
      await until('it hears itself', () => channel.send('first') && heard.includes('first'));
      await proxy.mode({ kind: 'blackhole', direction: 'both' });
      let taken = 0;
      while (channel.send('lost')) taken += 1;
      expect(taken).toBeLessThanOrEqual(20);
      await proxy.mode({ kind: 'pass' });
      await until('it hears itself again', () => channel.send('second') && heard.includes('second'));
    } finally {
      channel.close();
      await proxy.mode({ kind: 'pass' });
    }
  });

  it('subscribes again when its own messages do not arrive', async () => {
    const channel = new RedisChannel(parseStoreUrl(throughProxy()));
    const listeners = async (): Promise<string[]> =>
      [
        ...String(await redis.command('CLIENT', 'LIST')).matchAll(/^id=(\d+) .* name=carat-authenticity-subscriber /gm),
      ].map(([, id]) => id as string);
    let heard = false;
    channel.open(() => {
      heard = true;
    });
    try {
      await until('it hears itself', () => channel.send('first') && heard);
      const [before] = await listeners();
      // Requests arrive, no answer comes back, and no connection ends.
      await proxy.mode({ kind: 'blackhole', direction: 'to client' });
      await until('it listens on another connection', async () => {
        channel.send('unheard');
        return (await listeners()).some((id) => Number(id) > Number(before));
      });
    } finally {
      channel.close();
      await proxy.mode({ kind: 'pass' });
    }
  });
});
