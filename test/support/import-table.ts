/**
 * The allowed imports in `src`. A name is a file without its extension, or a folder with its
 * content. The most specific entry applies. A folder may always import from itself. A file without
 * an entry has that of its folder.
 */
export const IMPORTS: Record<string, readonly string[]> = {
  main: ['config', 'observability', 'service', 'store/embedded/level'],
  // Builds every part.
  service: ['asking', 'carat/client', 'config', 'handoff', 'intake', 'listeners', 'observability', 'operator', 'store'],
  // The domain imports only itself.
  token: [],
  config: [],
  // The only write path: from the bytes of a post to a token.
  intake: ['config', 'observability/recorder', 'store/contract', 'token'],
  'intake/parse-post': ['token'],
  // The only read path. It knows the contract of a store, and no implementation.
  handoff: ['store/contract', 'token'],
  'handoff/shares': [],
  'handoff/waiters': ['handoff/shares', 'token'],
  // Asks Carat on behalf of workers: the only place that uses both Carat's calls and the receiver.
  asking: ['carat', 'handoff', 'observability', 'store/contract', 'store/recharges', 'token'],
  // Owed recharges, in either store.
  'store/recharges': [],
  // Stores know the domain, and each other only where one wraps another.
  'store/contract': ['store/notice', 'token'],
  'store/notice': [],
  'store/forwarding': ['store/contract', 'token'],
  'store/encrypted': ['store/contract', 'store/forwarding', 'token'],
  'store/instrumented': ['store/contract', 'store/forwarding', 'token'],
  'store/embedded': ['store/recharges', 'store/contract', 'store/notice', 'token'],
  'store/fallback': ['store/recharges', 'store/contract', 'store/embedded', 'store/notice', 'token'],
  'store/redis': [
    ...['config/store-url', 'store/contract', 'store/embedded/records', 'store/fallback/shared-store'],
    ...['store/notice', 'store/recharges', 'token'],
  ],
  // The two listeners import nothing from each other.
  'listeners/authenticity': ['listeners/orderly-close', 'intake', 'observability/doors', 'store/notice', 'token'],
  'listeners/client-gone': ['handoff'],
  'listeners/orderly-close': [],
  'listeners/workers': [
    ...[
      'asking',
      'carat/arguments',
      'carat/recharges',
      'config',
      'handoff',
      'intake/parse-post',
      'listeners/client-gone',
      'listeners/orderly-close',
      'observability',
      'operator',
    ],
    ...['store/contract', 'store/recharges', 'token'],
  ],
  observability: ['config/version', 'handoff/handoff', 'intake/parse-post', 'store/contract', 'store/notice', 'token'],
  operator: ['handoff/waiters', 'intake/parse-post', 'observability', 'store/contract', 'token'],
  // Carat's calls do not import the receiver. The simulator imports neither.
  carat: [],
  simulator: [],
  'simulator/demo': ['carat/index', 'client/index', 'simulator'],
  // The worker's client implements the flows' token source, and imports nothing else of either
  // side.
  client: ['carat/token-source'],
  cli: ['client', 'config/nearest', 'config/version', 'main', 'simulator', 'token'],
};

/** The files that may import a package. */
export const PACKAGES: Record<string, readonly string[]> = {
  'node:process': ['cli', 'main'],
  '@fastify/formbody': ['listeners/authenticity/listener'],
  '@fastify/swagger': ['listeners/workers/openapi'],
  'classic-level': ['store/embedded', 'carat/recharge-notes'],
  fastify: ['listeners', 'operator', 'service', 'simulator'],
  'fastify-type-provider-zod': ['listeners/workers'],
  ioredis: ['store/redis'],
  pino: ['observability', 'main', 'service'],
  'pino-pretty': ['main'],
  'prom-client': ['observability/metrics'],
  tinyqueue: ['store/embedded'],
  zod: ['carat', 'config', 'listeners/workers', 'observability/event', 'observability/relay/message'],
};

/** Only these files may use `process`: environment, signals, exit code, standard streams. */
export const PROCESS_USERS: readonly string[] = [
  'cli/main',
  'main',
  'simulator/demo/main',
  'simulator/demo/receiver',
  'simulator/main',
];
