/**
 * Who may import whom, in `src`. A name stands for a file without its ending, or for a folder with all that is in it; with a
 * star, for all that begins so. The most specific entry counts.
 */
export const IMPORTS: Record<string, readonly string[]> = {
  main: ['config', 'config-tracing', 'events', 'log-lines', 'service', 'store/level', 'tracing'],
  // Loaded only when traces are asked for.
  tracing: ['config-tracing', 'events', 'store/store', 'tracing', 'version'],
  'config-tracing': [],
  config: ['config-values', 'store/redis-address'],
  'config-values': [],
  service: [
    ...['config', 'handoff', 'intake', 'journal', 'listeners', 'metrics', 'operator', 'relay', 'sources', 'store'],
    ...['tracing', 'version', 'waiters', 'wakeups'],
  ],
  // Pure: the bytes of a post.
  post: [],
  sources: ['config-values'],
  // The one write path.
  intake: ['journal', 'post', 'sources', 'store/store'],
  // Stores know the types of a post, and each other.
  store: ['post', 'store'],
  'store/store': ['post'],
  'store/redis-address': [],
  expectations: [],
  chain: [],
  // Who waits knows nothing of what is waited for.
  waiters: ['chain'],
  wakeups: ['store/store', 'waiters'],
  line: ['chain', 'store/store', 'waiters'],
  // The one read path: what a store promises, not which one it is.
  handoff: ['line', 'store/store', 'waiters'],
  journal: ['events', 'handoff', 'masking', 'metrics', 'post', 'quiet', 'recent-posts', 'store/store'],
  // What those who look on are told, here and, over the relay, at other instances.
  events: [],
  'recent-posts': ['events', 'post'],
  relay: ['events', 'store/store'],
  'store/redis-channel': ['relay', 'store/redis-address', 'store/redis-client'],
  operator: ['events', 'journal', 'operator', 'post', 'recent-posts', 'relay', 'store/store', 'waiters'],
  version: [],
  metrics: ['store/store'],
  masking: [],
  'log-lines': [],
  quiet: [],
  protocol: ['post'],
  // The public listener has nothing of the workers' to serve.
  'listeners/authenticity': [
    ...[
      'chain',
      'intake',
      'post',
      'listeners/always-ok',
      'listeners/certificate',
      'listeners/closing',
      'listeners/connections',
      'listeners/open-post',
    ],
  ],
  'listeners/always-ok': [],
  'listeners/certificate': ['store/store'],
  'listeners/closing': ['chain'],
  'listeners/connections': ['chain'],
  'listeners/open-post': ['chain', 'intake', 'listeners/always-ok', 'listeners/connections', 'post'],
  // And the workers' has nothing of Carat's.
  listeners: [
    ...['config', 'config-values', 'expectations', 'handoff', 'journal', 'masking', 'metrics', 'post', 'protocol'],
    ...['store/store', 'waiters', 'listeners/browsers', 'listeners/keys', 'listeners/problems'],
    ...['events', 'operator', 'recent-posts', 'listeners/docs-page', 'listeners/openapi', 'listeners/openapi-examples'],
    ...['listeners/event-reader', 'listeners/expectation-routes', 'listeners/watch-routes', 'listeners/worker-answers'],
    ...['chain', 'listeners/closing', 'listeners/worker-routes', 'listeners/patience', 'tracing'],
  ],
  // Carat's calls know nothing of the receiver, and the simulator nothing of either.
  carat: ['carat'],
  simulator: ['simulator'],
  demo: ['carat/index', 'client', 'demo', 'simulator'],
  // The worker's client fits the token source of the flows, and knows no more of either side.
  client: ['client', 'carat/token-source'],
  cli: ['cli', 'client', 'main', 'simulator', 'store/store', 'version'],
};

/** Who may import a package. */
export const PACKAGES: Record<string, readonly string[]> = {
  'node:process': ['cli', 'main'],
  '@fastify/swagger': ['listeners/openapi'],
  'classic-level': ['store/disk', 'store/level', 'carat/recharge-notes'],
  fastify: ['listeners', 'operator', 'service', 'simulator'],
  'fastify-type-provider-zod': ['listeners'],
  ioredis: ['store/redis*'],
  pino: ['journal', 'log-lines', 'main', 'service'],
  'pino-pretty': ['main'],
  'prom-client': ['metrics'],
  tinyqueue: ['store'],
  zod: ['carat', 'config', 'config-values', 'listeners', 'protocol'],
};

/** Whose business the process is: environment, signals, exit code, standard streams. */
export const PROCESS_USERS: readonly string[] = ['cli/main', 'main', 'demo/main', 'demo/receiver', 'simulator/main'];
