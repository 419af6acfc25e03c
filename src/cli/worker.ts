/** Shared parts of the commands that call a service. */
import {
  type Correlators,
  createWorkerClient,
  isWorkerError,
  type Kind,
  type Token,
  type WorkerClient,
  type WorkerErrorCode,
} from '../client/index.ts';
import { type Arguments, EXIT, type Option, text, UsageError } from './command.ts';
import type { Console } from './terminal.ts';

export const SELECTOR_OPTIONS: Readonly<Record<string, Option>> = {
  'merchant-data': { type: 'string', value: 'TEXT', help: 'The token with this merchant_data.' },
  sid: { type: 'string', value: 'TEXT', help: 'The token with this SID.' },
  'merchant-usn': { type: 'string', value: 'TEXT', help: 'The token with this merchant USN.' },
  'order-id': { type: 'string', value: 'TEXT', help: 'The token with this order.' },
  kind: { type: 'string', value: 'KIND', help: 'seid, nit or token.' },
};

export function workerUrl(args: Arguments, { env }: Console): string {
  return text(args, 'worker') ?? env['WORKER_URL'] ?? listenerOf(env['WORKER_HOST'], env['WORKER_PORT']);
}

/** Returns the worker listener of a service with this environment, as reachable from its own machine. */
function listenerOf(host = '', port = ''): string {
  const address = ANY_ADDRESS[host.trim()] ?? host.trim();
  return `http://${address.includes(':') ? `[${address}]` : address}:${port.trim() || 8081}`;
}

/** Local addresses for the default host and for hosts that mean all addresses. */
const ANY_ADDRESS: Readonly<Record<string, string>> = { '': '127.0.0.1', '0.0.0.0': '127.0.0.1', '::': '::1' };

export function workerKey(args: Arguments, { env }: Console): string | undefined {
  return text(args, 'key') ?? env['WORKER_API_KEY'];
}

export function clientOf(args: Arguments, terminal: Console): WorkerClient {
  const options = { url: workerUrl(args, terminal), key: workerKey(args, terminal), merchant: text(args, 'merchant') };
  return createWorkerClient(options);
}

/** @throws UsageError for more than one correlator, or for none where one is required */
export function selectorOf(args: Arguments): { kind: Kind | undefined } & Correlators {
  const kind = text(args, 'kind');
  if (kind !== undefined && !['seid', 'nit', 'token'].includes(kind)) {
    throw new UsageError(`--kind: expected seid, nit or token, got "${kind}"`);
  }
  const correlators = {
    merchantData: text(args, 'merchant-data'),
    sid: text(args, 'sid'),
    merchantUsn: text(args, 'merchant-usn'),
    orderId: text(args, 'order-id'),
  };
  const given = Object.values(correlators).filter((value) => value !== undefined).length;
  const names = '--merchant-data, --sid, --merchant-usn and --order-id';
  if (given > 1) throw new UsageError(`expected one of ${names}, got ${given}`);
  if (given === 0 && kind === undefined) throw new UsageError(`expected one of ${names}, or for claim a --kind alone`);
  return { kind: kind as Kind | undefined, ...correlators };
}

/** Prints the whole token for programs, and its value alone for people and shells. */
export function printToken(token: Token, args: Arguments, terminal: Console): void {
  terminal.out(args.values['json'] === true ? JSON.stringify(token) : token.value);
  if (args.values['json'] !== true && token.claim !== null) {
    const { id, leaseExpiresAt } = token.claim;
    terminal.error(terminal.paint('dim', `claimed as ${id} until ${leaseExpiresAt.toISOString()}`));
  }
}

const EXIT_OF: Partial<Record<WorkerErrorCode, number>> = {
  invalid_url: EXIT.usage,
  invalid_request: EXIT.usage,
  not_configured: EXIT.usage,
  no_post: EXIT.nothingCame,
  unreachable: EXIT.unreachable,
  carat_unreachable: EXIT.unreachable,
  unexpected_answer: EXIT.unreachable,
  store_away: EXIT.unreachable,
  draining: EXIT.unreachable,
  too_many_waiters: EXIT.unreachable,
  unauthorized: EXIT.notLetIn,
  forbidden: EXIT.notLetIn,
  used: EXIT.gone,
  cancelled: EXIT.gone,
  claimed: EXIT.gone,
  conflict: EXIT.gone,
  lease_lost: EXIT.gone,
  decided: EXIT.gone,
};

export function exitOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT.usage;
  return isWorkerError(error) ? (EXIT_OF[error.code] ?? EXIT.failed) : EXIT.failed;
}
