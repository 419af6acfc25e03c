/** `listen`: claims tokens and posts each to a worker without its own wait: local or serverless. */
import { type ClaimRequest, isWorkerError, type WorkerClient, WorkerError } from '../client/index.ts';
import { Lease } from '../client/lease.ts';
import { pause } from '../client/retries.ts';
import { type ClaimedToken, tokenAnswerOf } from '../client/wire.ts';
import {
  type Arguments,
  type Command,
  EXIT,
  httpAddress,
  seconds,
  text,
  UsageError,
  WORKER_OPTIONS,
} from './command.ts';
import type { Console } from './terminal.ts';
import { clientOf, SELECTOR_OPTIONS, selectorOf } from './worker.ts';

/** Length of one wait for a token; the next wait follows at once. */
const WAIT_MS = 60_000;
/** Pauses after a worker that did not take its token; each is twice the previous one. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
/** Limit of Node's `fetch` for an answer. */
const MOST_WORKER_SECONDS = 300;
/** Time after SIGTERM for the worker to answer, then for the service. Together below Docker's 10 s. */
const FINISH_MS = 5000;
const SETTLE_MS = 2000;
/** Time for attempts to put a token back; after that the end of its lease does it. */
const RELEASE_MS = 10_000;

export const listen: Command = {
  name: 'listen',
  summary: 'Claim tokens and POST each to a worker: 2xx means used, anything else puts it back.',
  options: {
    'forward-to': {
      type: 'string',
      value: 'URL',
      help: 'The worker; default FORWARD_TO, which no process list shows.',
    },
    ...SELECTOR_OPTIONS,
    lease: { type: 'string', value: 'SECONDS', help: 'How long a token is held without a renewal; default 60.' },
    timeout: { type: 'string', value: 'SECONDS', help: 'How long the worker may take; default 60, at most 300.' },
    ...WORKER_OPTIONS,
  },
  more:
    'With a --kind alone: the tokens of that kind which came without any correlator. One token at a time.\n' +
    'A SIGTERM or SIGINT lets the worker finish for 5 s, then puts the token back. Exit code 0.',
  finishesWithinMs: FINISH_MS + 2 * SETTLE_MS,
  async run(args, terminal) {
    const url = workerAddress(args, terminal);
    const leaseMs = seconds(args, 'lease', 60, 600);
    const timeoutMs = seconds(args, 'timeout', 60, MOST_WORKER_SECONDS);
    const listener: Listener = {
      client: clientOf(args, terminal),
      lead: { ...selectorOf(args), lease: leaseMs } as ClaimRequest,
      ends: endsOf(terminal.signal),
      url,
      leaseMs,
      timeoutMs,
      report: (event, facts) => report(event, facts, args, terminal),
    };
    return follow(listener);
  },
};

interface Listener {
  client: WorkerClient;
  lead: ClaimRequest;
  url: string;
  leaseMs: number;
  timeoutMs: number;
  ends: Ends;
  report(event: Event, facts?: Facts): void;
}

type Event = 'listening' | 'used' | 'released' | 'lost' | 'away';
type Facts = Readonly<Record<string, string | number>>;

/** The phases that a stop ends, in this order: the claims, a busy worker, the calls that settle. */
interface Ends {
  claiming: AbortSignal;
  working: AbortSignal;
  settling: AbortSignal;
}

function endsOf(claiming: AbortSignal): Ends {
  const [working, settling] = [new AbortController(), new AbortController()];
  claiming.addEventListener('abort', () => {
    setTimeout(() => working.abort(), FINISH_MS).unref();
    setTimeout(() => settling.abort(), FINISH_MS + SETTLE_MS).unref();
  });
  return { claiming, working: working.signal, settling: settling.signal };
}

/** @throws UsageError */
function workerAddress(args: Arguments, { env }: Console): string {
  const given = text(args, 'forward-to') ?? env['FORWARD_TO'];
  if (given === undefined) throw new UsageError('listen: expected --forward-to URL');
  const { username, password } = new URL(httpAddress('listen --forward-to', given));
  if (username !== '' || password !== '') {
    throw new UsageError('listen --forward-to: expected an address without user and password');
  }
  return given;
}

/** Claims and hands over one token after another until a signal comes. */
async function follow(listener: Listener): Promise<number> {
  const { claiming } = listener.ends;
  let pauseMs = FIRST_PAUSE_MS;
  let claimId = crypto.randomUUID();
  // The first claim asks once: a wrong address or key ends the command at once.
  let timeout = 0;
  while (!claiming.aborted) {
    const token = await claimOnce(listener, claimId, timeout);
    if (claiming.aborted && token === undefined) break;
    if (timeout === 0) listener.report('listening');
    timeout = WAIT_MS;
    if (token === undefined) continue;
    claimId = crypto.randomUUID();
    const isTaken = await handOver(listener, token, pauseMs);
    if (isTaken) pauseMs = FIRST_PAUSE_MS;
    else {
      await pause(pauseMs, claiming).catch(() => undefined);
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    }
  }
  return EXIT.ok;
}

/**
 * @throws WorkerError for an answer that no further claim can change, or an unreachable service at
 * the start
 */
async function claimOnce(
  { client, lead, ends, report }: Listener,
  claimId: string,
  timeout: number,
): Promise<ClaimedToken | undefined> {
  try {
    return await client.claim({ ...lead, claimId }, { timeout, signal: ends.claiming });
  } catch (error) {
    if (ends.claiming.aborted) {
      // The abandoned answer may have contained a token.
      await client.release(held(client, claimId), { timeout: 0, signal: ends.settling }).catch(() => undefined);
      return undefined;
    }
    // Another token may come under the same selector, and this one may be put back.
    if (isWorkerError(error, 'used') || isWorkerError(error, 'claimed')) return undefined;
    if (timeout === 0 || !isWorkerError(error) || !error.passing) throw error;
    report('away', { reason: error.code });
    return undefined;
  }
}

function held({ merchant }: WorkerClient, id: string) {
  return { merchant, claim: { id } };
}

/**
 * Posts a token to the worker, extends its lease during the call, and settles it.
 * Resolves to whether the worker took it.
 */
async function handOver(listener: Listener, token: ClaimedToken, retryInMs: number): Promise<boolean> {
  const { client, ends, leaseMs, report } = listener;
  const { id, merchant, kind, claim } = token;
  const facts = { id, merchant, kind, claim: claim.id, deliveries: claim.deliveries };
  const lease = new Lease(client, token, leaseMs, undefined);
  const began = performance.now();
  const answer = await forward(listener, token, lease.signal);
  const isLost = lease.signal.aborted;
  lease.end();
  const seen = { ...facts, ...answer, ms: Math.round(performance.now() - began) };
  const isTaken = 'status' in answer && answer.status >= 200 && answer.status < 300;
  try {
    if (isTaken) {
      // For the token's life: until the service knows of the use, another worker may get the token.
      const lifeMs = Math.max(token.expiresAt.getTime() - token.receivedAt.getTime(), 0);
      await client.used(token, { timeout: lifeMs, signal: ends.settling });
      report('used', seen);
    } else if (isLost) report('lost', seen);
    else {
      await client.release(token, { timeout: RELEASE_MS, signal: ends.settling });
      report('released', { ...seen, ...(ends.claiming.aborted ? {} : { retry_in_ms: retryInMs }) });
    }
  } catch (error) {
    if (isWorkerError(error) && ['unauthorized', 'forbidden'].includes(error.code)) throw error;
    // The end of the lease puts an unused token back. After a stop, an unsettled use is an error of
    // the command.
    report('lost', { ...seen, settling: isWorkerError(error) ? error.code : 'stopped' });
    if (isTaken && ends.settling.aborted)
      throw new WorkerError('unreachable', 'listen: stopped before a use was settled');
  }
  return isTaken;
}

/** The result of a post to the worker. */
type Answer = { status: number } | { reason: string };

async function forward({ url, timeoutMs, ends }: Listener, token: ClaimedToken, lost: AbortSignal): Promise<Answer> {
  const late = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(tokenAnswerOf(token)),
      // The token must reach only the given address.
      redirect: 'manual',
      signal: AbortSignal.any([late, lost, ends.working]),
    });
    await response.body?.cancel();
    return { status: response.status };
  } catch (error) {
    if (lost.aborted) return { reason: 'lease_lost' };
    if (late.aborted) return { reason: 'timeout' };
    if (ends.working.aborted) return { reason: 'stopped' };
    // The message of the runtime may quote the address.
    return { reason: (error as { cause?: { code?: string } }).cause?.code ?? 'no_answer' };
  }
}

function report(event: Event, facts: Facts = {}, args: Arguments, { out, paint }: Console): void {
  if (args.values['json'] === true) {
    out(JSON.stringify({ event, ...facts }));
    return;
  }
  const words = Object.entries(facts).map(([name, value]) => `${paint('dim', `${name}=`)}${value}`);
  const colour = { listening: 'bold', used: 'green', released: 'yellow', lost: 'red', away: 'yellow' } as const;
  out(`${paint(colour[event], event.padEnd(9))} ${words.join(' ')}`.trimEnd());
}
