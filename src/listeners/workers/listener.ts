/** The worker listener: the internal server for workers and operators. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import fastify from 'fastify';
import * as z from 'zod';
import type { Asker } from '../../asking/asker.ts';
import type { RechargeGuard } from '../../asking/guard.ts';
import type { Config } from '../../config/config.ts';
import type { Handoff } from '../../handoff/handoff.ts';
import type { Waiters } from '../../handoff/waiters.ts';
import type { Metrics } from '../../observability/metrics.ts';
import type { Recorder } from '../../observability/recorder.ts';
import type { Relay } from '../../observability/relay/relay.ts';
import type { AnsweredRequest } from '../../observability/tracing/tracing.ts';
import type { Operator } from '../../operator/operator.ts';
import { operatorRoutes } from '../../operator/routes.ts';
import type { TokenStore } from '../../store/contract.ts';
import { acceptPending, keepIdleConnections, watchRequests } from '../orderly-close.ts';
import { askRoutes } from './ask-routes.ts';
import { ApiKeys, checkLoopbackHost, checkSite } from './auth.ts';
import { watchRoutes } from './event-routes.ts';
import { expectationRoutes } from './expectation-routes.ts';
import { describeApi } from './openapi.ts';
import { ProblemError, problemOf, sendProblem, validatorCompiler, wrongParameter } from './problems.ts';
import { rechargeRoutes } from './recharge-routes.ts';
import { workerRoutes } from './routes.ts';
import { TokenAskBody } from './schemas/asks.ts';
import { NoBody } from './schemas/fields.ts';
import { AliveAnswer, HealthAnswer } from './schemas/observing.ts';
import { Problem } from './schemas/problems.ts';

/** Far above the size of any valid request. */
const MAX_BODY_BYTES = 16 * 1024;
/** A valid body is one flat object. */
const MAX_BODY_LEVELS = 4;
/** Longer than the idle timeouts of clients and proxies (Go 90 s, balancers up to 600 s), so that they close first. */
const KEEP_ALIVE_MS = 620_000;
/** How long a closing listener still answers requests on open connections. */
const LAST_REQUESTS_MS = 500;
const NO_KEY_NEEDED: ReadonlySet<string> = new Set(['/livez', '/readyz']);

export interface WorkerListenerOptions {
  config: Pick<Config, 'workerKeys' | 'merchants' | 'maxWaiters'>;
  store: TokenStore;
  handoff: Handoff;
  waiters: Waiters;
  recorder: Recorder;
  metrics: Metrics;
  operator: Operator;
  /** Absent without Redis: then there is one instance. */
  relay?: Relay | undefined;
  /** Absent when no credentials at Carat are configured. */
  asker?: Asker | undefined;
  guard?: RechargeGuard | undefined;
  /** Called for each answered request. */
  onAnswered?: ((answered: AnsweredRequest) => void) | undefined;
}

export async function createWorkerListener(options: WorkerListenerOptions): Promise<FastifyInstance> {
  const { config, store, handoff, waiters, recorder, metrics, operator, relay, asker, guard, onAnswered } = options;
  const keys = new ApiKeys(config.workerKeys, config.merchants);
  const app = fastify({
    bodyLimit: MAX_BODY_BYTES,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // While the service stops, the handoff ends the waits, and other requests are answered as usual.
    return503OnClosing: false,
    exposeHeadRoutes: false,
    // Path parameters of any length reach their schema, which says what is wrong.
    routerOptions: { maxParamLength: MAX_BODY_BYTES },
    // zod validates requests, and answers are plain JSON. Fastify's own compilers are not loaded.
    schemaController: {
      compilersFactory: {
        buildValidator: (() => validatorCompiler) as never,
        buildSerializer: () => () => (answer) => JSON.stringify(answer),
      },
    },
    frameworkErrors: (error, request, reply) => {
      const isUrl = error.code === 'FST_ERR_BAD_URL';
      const problem = isUrl ? wrongParameter('url', 'whole percent escapes', request.url) : problemOf(error);
      sendProblem(reply, problem ?? new ProblemError('internal_error'));
    },
  });
  app.removeContentTypeParser('text/plain');
  const parseJson = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    // Some clients send a content type with an empty body.
    if (body === '') return done(null, undefined);
    void parseJson(request, body as string, (error, parsed) => {
      if (error !== null) {
        done(wrongParameter('body', takesNoBody(request) ? 'no body' : expectedJson(body as string), body));
      } else if (isDeeperThan(MAX_BODY_LEVELS, parsed)) {
        done(wrongParameter('body', `JSON of at most ${MAX_BODY_LEVELS} levels`, body));
      } else done(null, parsed);
    });
  });

  app.decorateRequest('onlyMerchant', undefined);
  app.addHook('onRequest', (request, reply, done) => {
    // No cache may keep a token, or the answer that none exists.
    reply.header('cache-control', 'no-store');
    if (!NO_KEY_NEEDED.has(request.routeOptions.url ?? '')) admit(request);
    ignoreContentType(request);
    done();
  });
  /** @throws ProblemError for a request that may not use the API */
  function admit(request: FastifyRequest): void {
    if (config.workerKeys.length === 0) checkLoopbackHost(request);
    checkSite(request);
    keys.admit(request);
  }
  /** True if a request may see data of all merchants. */
  function seesEverything(request: FastifyRequest): boolean {
    try {
      admit(request);
      return request.onlyMerchant === undefined;
    } catch {
      return false;
    }
  }
  app.addHook('onSend', (_request, reply, _payload, done) => {
    // An answer after the idle connections were closed would leave a connection open, and the stop would wait for it.
    if (waiters.draining) reply.header('connection', 'close');
    done();
  });
  const cutUnfinished = watchRequests(app.server);
  app.addHook('preClose', async () => {
    keepIdleConnections(app.server, LAST_REQUESTS_MS);
    const timer = setTimeout(cutUnfinished, LAST_REQUESTS_MS);
    app.server.once('close', () => clearTimeout(timer));
    await acceptPending(app.server);
  });
  if (onAnswered !== undefined) {
    app.addHook('onResponse', async ({ method, headers, routeOptions }, { statusCode, elapsedTime, handedOver }) => {
      const { url: route = '' } = routeOptions;
      const traceparent = headers['traceparent'] as string | undefined;
      onAnswered({ method, route, status: statusCode, tookMs: elapsedTime, traceparent, token: handedOver });
    });
  }
  app.setNotFoundHandler((_request, reply) => sendProblem(reply, new ProblemError('not_found')));
  app.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error);
    if (problem === undefined) recorder.bug(error, `${request.method} ${request.routeOptions.url}`);
    return sendProblem(reply, problem ?? new ProblemError('internal_error'));
  });

  describeApi(app);
  app.get(
    '/livez',
    {
      exposeHeadRoute: true,
      schema: {
        operationId: 'alive',
        summary: 'Answers 200 while the process runs. Needs no key.',
        security: [],
        response: { 200: AliveAnswer },
      },
    },
    async () => ({ status: 'alive' }),
  );
  app.get(
    '/readyz',
    {
      exposeHeadRoute: true,
      schema: {
        operationId: 'ready',
        summary:
          'Answers 200 when the service can keep a post, 503 when it is stopping, with the state of each part. Only the detail of the store needs a key.',
        security: [{}, { bearer: [] }, { basic: [] }],
        response: { 200: HealthAnswer, 503: HealthAnswer },
      },
    },
    async (request, reply) => {
      const { fallback, detail, ...health } = store.health();
      return reply.code(waiters.draining ? 503 : 200).send({
        status: waiters.draining ? 'stopping' : 'ready',
        // The detail of an error names DATA_DIR or the address of Redis.
        store: detail !== undefined && seesEverything(request) ? { ...health, detail } : health,
        fallback: fallback ?? null,
        waiters: { parked: waiters.count, max: config.maxWaiters },
      });
    },
  );
  const figures = { description: "Prometheus' text format.", content: { 'text/plain': { schema: z.string() } } };
  app.get(
    '/metrics',
    {
      schema: {
        operationId: 'metrics',
        summary: 'Metrics for Prometheus.',
        response: { 200: figures, 401: Problem, 403: Problem },
      },
    },
    async (request, reply) => {
      keys.checkUnlimited(request);
      return reply.type(metrics.registry.contentType).send(await metrics.registry.metrics());
    },
  );
  const routes = { store, handoff, recorder, keys };
  await app.register(workerRoutes, routes);
  await app.register(expectationRoutes, routes);
  await app.register(askRoutes, { asker, keys });
  await app.register(rechargeRoutes, { asker, guard, recorder, keys });
  await app.register(watchRoutes, { merchants: config.merchants, recorder, relay, keys });
  await app.register(operatorRoutes, {
    viewFor: ({ onlyMerchant }: FastifyRequest, filter: string) => operator.viewOfAll(onlyMerchant, filter),
  });
  return app;
}

function takesNoBody({ routeOptions }: FastifyRequest): boolean {
  return routeOptions.schema?.body === NoBody;
}

function mayHaveNoBody({ routeOptions }: FastifyRequest): boolean {
  return routeOptions.schema?.body === TokenAskBody;
}

/**
 * Ignores the content type on routes whose body is empty or optional: PHP, wget and Java send a form's content type with an
 * empty body. Without a route, no body is parsed.
 */
function ignoreContentType(request: FastifyRequest): void {
  if (request.is404) delete request.headers['content-type'];
  else if (takesNoBody(request) || mayHaveNoBody(request)) request.headers['content-type'] = 'application/json';
}

/** Describes what was expected of a body that the parser refused. */
function expectedJson(body: string): string {
  try {
    JSON.parse(body);
    return 'JSON without __proto__ and constructor.prototype';
  } catch {
    return 'valid JSON';
  }
}

/** Checks level by level, because a recursive walk could exhaust the stack. */
function isDeeperThan(most: number, value: unknown): boolean {
  let level = [value];
  for (let depth = 0; depth <= most; depth += 1) {
    level = level.flatMap((one) => (typeof one === 'object' && one !== null ? Object.values(one) : []));
    if (level.length === 0) return false;
  }
  return true;
}
