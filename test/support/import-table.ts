/**
 * Who may import whom, in `src`. A name stands for a file without its ending, or for a folder with everything in it. The
 * most specific entry counts. A folder may always import from itself; without an entry of its own, a file has its folder's.
 */
export const IMPORTS: Record<string, readonly string[]> = {
  main: ['config', 'observability', 'service', 'store/embedded/level'],
  // Builds every part.
  service: ['asking', 'carat/client', 'config', 'handoff', 'intake', 'listeners', 'observability', 'operator', 'store'],
  // The domain knows nothing but itself.
  token: [],
  config: [],
  // The bytes of a post become a token: the one write path.
  intake: ['config', 'observability/recorder', 'store/contract', 'token'],
  'intake/parse-post': ['token'],
  // The one read path. It knows what a store promises, not which one it is.
  handoff: ['store/contract', 'token'],
  'handoff/shares': [],
  'handoff/waiters': ['handoff/shares', 'token'],
  // Asks Carat on behalf of workers: the one place where Carat's calls and the receiver meet.
  asking: ['carat', 'handoff', 'observability', 'store/contract', 'store/recharges', 'token'],
  // What is owed to Carat, in either store.
  'store/recharges': [],
  // Stores know the domain, and each other only where one stands in front of another.
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
  // The public listener has nothing of the workers' to serve, and the workers' listener has nothing of Carat's.
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
  // Carat's calls know nothing of the receiver, and the simulator nothing of either.
  carat: [],
  simulator: [],
  'simulator/demo': ['carat/index', 'client/index', 'simulator'],
  // The worker's client fits the token source of the flows, and knows nothing else of either side.
  client: ['carat/token-source'],
  cli: ['client', 'config/nearest', 'config/version', 'main', 'simulator', 'token'],
};

/** Who may import a package. */
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

/** Only these may touch the process: environment, signals, exit code, standard streams. */
export const PROCESS_USERS: readonly string[] = [
  'cli/main',
  'main',
  'simulator/demo/main',
  'simulator/demo/receiver',
  'simulator/main',
];
