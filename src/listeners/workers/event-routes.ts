/** The routes for observers: server-sent events and the last posts. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import { Shares } from '../../handoff/shares.ts';
import { EVENT_NAMES } from '../../observability/event.ts';
import type { RecentPost } from '../../observability/recent-posts.ts';
import type { Recorder } from '../../observability/recorder.ts';
import type { Relay } from '../../observability/relay/relay.ts';
import { CHANGES_PATH } from '../../operator/script.ts';
import { whenOver } from '../client-gone.ts';
import type { ApiKeys } from './auth.ts';
import { EventReader } from './event-stream.ts';
import { answers, ProblemError } from './problems.ts';
import { EventsQuery, PostsAnswer, PostsQuery } from './schemas/observing.ts';

const MAX_READERS = 100;
/** The share of readers with a key for all merchants. No merchant has an empty name. */
const OPERATORS = '';

export interface WatchRoutesOptions {
  merchants: readonly string[];
  recorder: Recorder;
  /** Absent without Redis: then there is one instance. */
  relay: Relay | undefined;
  keys: ApiKeys;
}

export async function watchRoutes(
  fastify: FastifyInstance,
  { merchants, recorder, relay, keys }: WatchRoutesOptions,
): Promise<void> {
  const app = fastify.withTypeProvider<ZodTypeProvider>();
  const readers = new Set<EventReader>();
  const places = new Shares(MAX_READERS, [...merchants, OPERATORS]);
  // A closing server waits for open streams, which would never end.
  app.addHook('preClose', async () => {
    for (const reader of readers) reader.end('stopping');
  });

  app.get(
    '/v1/events',
    {
      schema: {
        operationId: 'followEvents',
        summary: 'Follow redacted events as server-sent events. With Redis, those of all instances.',
        description:
          `Each event has an id, a name (${EVENT_NAMES.join(', ')}) and JSON data. ` +
          'Last-Event-ID resumes the stream after that event. An event named gap means that events in between are no longer kept. ' +
          'An event named dropped means that the reader was too slow; the stream then ends.',
        querystring: EventsQuery,
        response: {
          200: { description: 'The stream.', content: { 'text/event-stream': { schema: z.string() } } },
          ...answers('too_many_readers'),
        },
      },
    },
    (request, reply) => {
      const { merchant = request.onlyMerchant } = request.query;
      if (merchant !== undefined) keys.checkMerchant(request, merchant);
      follow(request, reply, merchant);
    },
  );
  // The operator page reloads itself on any change, so it needs no details.
  app.get(CHANGES_PATH, { schema: { hide: true } }, (request, reply) => {
    follow(request, reply, request.onlyMerchant, true);
  });

  function follow(request: FastifyRequest, reply: FastifyReply, merchant: string | undefined, isBrief = false): void {
    // A key that is limited to a merchant uses only the places of that merchant.
    const { onlyMerchant: share = OPERATORS } = request;
    const hasPlace = share === OPERATORS ? places.takeAny(share) : places.take(share);
    if (!hasPlace) throw new ProblemError('too_many_readers');
    reply.hijack();
    reply.raw.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    const onSlow = () =>
      recorder.notice({
        level: 'warn',
        code: 'slow_reader',
        message: 'an event reader was too slow and was disconnected',
      });
    const reader = new EventReader(reply.raw, recorder.events, { merchant, isBrief, onSlow });
    readers.add(reader);
    const reading = relay?.beginReading();
    whenOver(reply.raw, request.raw.socket, () => {
      reader.leave();
      readers.delete(reader);
      places.leave(share);
      void reading?.then((endReading) => endReading());
    });
    const lastId = request.headers['last-event-id'];
    const begin = (): void => reader.begin(typeof lastId === 'string' && lastId !== '' ? lastId : undefined);
    if (reading === undefined) begin();
    else void reading.then(begin);
  }

  app.get(
    '/v1/posts',
    {
      schema: {
        operationId: 'lastPosts',
        summary: 'The last posts, redacted, newest first. With Redis, those of all instances.',
        querystring: PostsQuery,
        response: { 200: PostsAnswer, ...answers() },
      },
    },
    async (request) => {
      const { limit, merchant = request.onlyMerchant } = request.query;
      if (merchant !== undefined) keys.checkMerchant(request, merchant);
      const endReading = await relay?.beginReading();
      endReading?.();
      return { posts: recorder.posts.last(limit, merchant).map(postAnswer) };
    },
  );
}

type LastPost = z.output<typeof PostsAnswer>['posts'][number];

function postAnswer({ receivedAt, handedOverAfterMs, ...post }: RecentPost): LastPost {
  const {
    merchant,
    kind,
    correlators,
    fingerprint,
    outcome,
    reason,
    from,
    instance,
    dropped,
    contentType,
    contentEncoding,
    became,
  } = post;
  return {
    received_at: new Date(receivedAt).toISOString(),
    instance,
    merchant,
    kind,
    ...correlators,
    fingerprint,
    outcome,
    reason: reason as LastPost['reason'],
    from,
    dropped: dropped === undefined ? undefined : [...dropped],
    content_type: contentType,
    content_encoding: contentEncoding,
    became,
    handed_over_after_ms: handedOverAfterMs ?? null,
  };
}
