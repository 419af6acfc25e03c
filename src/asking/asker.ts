/**
 * Asks Carat for a token on behalf of a worker: announces it, calls Carat once, takes the token from its post, and marks it
 * as used. The call is never repeated, and continues when the worker disconnects. Then the token is put back: it can be read
 * by its selector or taken from the pool.
 */
import { setMaxListeners } from 'node:events';
import type { CaratSaid } from '../carat/call.ts';
import type { CaratClient } from '../carat/client.ts';
import { CaratError } from '../carat/errors.ts';
import { type Obtained, obtainToken, spend, type Wanted } from '../carat/flows/obtain-token.ts';
import type { Handoff, WaitOptions } from '../handoff/handoff.ts';
import type { Recorder } from '../observability/recorder.ts';
import type { TokenStore } from '../store/contract.ts';
import type { TokenRecord } from '../token.ts';
import { createStoreSource, SourceError, type SourceErrorCode, type StoredToken } from './store-source.ts';

/** How long to wait for a post after Carat's answer was lost. The caller's own wait is the upper limit. */
const GRACE_MS = 10_000;

/** A request to Carat for a token. */
export interface Ask extends Pick<Wanted, 'kind' | 'selector'> {
  name: AskName;
  trigger(client: CaratClient, ...args: Parameters<Wanted['trigger']>): Promise<void>;
}
export const ASKS = ['schedule_edit', 'recharge', 'generic_token', 'merchant_token', 'cancellation'] as const;
export type AskName = (typeof ASKS)[number];

export interface Asked {
  token: TokenRecord;
  /** Carat's answer. Null if the token came but the answer was lost. */
  carat: CaratSaid | null;
}

export type AskErrorCode = SourceErrorCode | 'not_configured' | 'carat_refused' | 'carat_unreachable' | 'no_post';

/** Why no token was obtained. Neither its message nor Carat's answer contains a secret. */
export class AskError extends Error {
  readonly code: AskErrorCode;
  readonly carat: CaratSaid | undefined;
  constructor(code: AskErrorCode, message?: string, carat?: CaratSaid) {
    super(message);
    this.name = 'AskError';
    this.code = code;
    this.carat = carat;
  }
}

export interface AskerOptions {
  /** By merchant. Merchants without credentials have none. */
  clients: ReadonlyMap<string, CaratClient>;
  store: TokenStore;
  handoff: Handoff;
  recorder: Recorder;
}

export class Asker {
  readonly #options: AskerOptions;
  readonly #stop = new AbortController();

  constructor(options: AskerOptions) {
    this.#options = options;
    // Every call in flight adds a listener.
    setMaxListeners(0, this.#stop.signal);
  }

  /** @throws AskError `not_configured` for a merchant without credentials */
  clientOf(merchant: string): CaratClient {
    const client = this.#options.clients.get(merchant);
    if (client !== undefined) return client;
    throw new AskError('not_configured', `CARAT_CREDENTIALS has no credentials for the merchant ${merchant}`);
  }

  /**
   * Asks Carat once. Returns `disconnected` if the worker disconnected before the token came.
   *
   * @throws AskError
   */
  async ask(merchant: string, ask: Ask, { waitMs, signal }: WaitOptions): Promise<Asked | 'disconnected'> {
    const { recorder } = this.#options;
    const client = this.clientOf(merchant);
    const startedAt = performance.now();
    const over = (outcome: string, carat?: CaratSaid): void =>
      recorder.asked(merchant, ask.name, outcome, (performance.now() - startedAt) / 1000, carat?.code);
    try {
      const source = this.#sourceFor(merchant);
      const { token, answer } = await this.#obtain(source, client, ask, waitMs);
      if (signal.aborted) {
        await source.release(token);
        over('disconnected');
        return 'disconnected';
      }
      await spend(source, ask.name, token);
      over(answer.seen ? 'done' : 'answer_lost');
      return { token: token.record, carat: answer.seen ? (answer.said ?? null) : null };
    } catch (caught) {
      const error = this.#errorOf(caught);
      if (error instanceof AskError) over(error.code, error.carat);
      throw error;
    }
  }

  /** Aborts the calls in flight. Their workers get `draining`. */
  stop(): void {
    this.#stop.abort();
  }

  #sourceFor(merchant: string) {
    const { store, handoff, recorder } = this.#options;
    return createStoreSource({ store, handoff, recorder, merchant, isStopping: () => this.#stop.signal.aborted });
  }

  #obtain(
    source: ReturnType<typeof createStoreSource>,
    client: CaratClient,
    { name, kind, selector, trigger }: Ask,
    waitMs: number,
  ): Promise<Obtained<StoredToken>> {
    const wanted: Wanted = {
      flow: name,
      kind,
      selector,
      callMs: waitMs,
      totalMs: waitMs,
      trigger: (...args) => trigger(client, ...args),
    };
    return obtainToken(source, wanted, { signal: this.#stop.signal, timeoutMs: waitMs, graceMs: GRACE_MS });
  }

  /** Converts an error of Carat's client. Other errors are returned unchanged. */
  #errorOf(error: unknown): unknown {
    if (!(error instanceof CaratError)) return error;
    const { code, cause, caratCode, caratMessage } = error;
    const carat = caratCode === undefined ? undefined : { code: caratCode, message: caratMessage ?? '' };
    switch (code) {
      case 'denied':
      case 'unauthorized':
      case 'not_found':
        return new AskError('carat_refused', `Carat refused: ${error.message}`, carat);
      case 'aborted':
        return new AskError('draining');
      case 'no_post':
        return new AskError('no_post');
      case 'token_source':
        return cause instanceof SourceError ? new AskError(cause.code) : cause;
      case 'bad_argument':
      case 'notes':
        return error;
      default:
        return new AskError('carat_unreachable', `Carat did not answer as expected: ${error.message}`, carat);
    }
  }
}
