/**
 * The readers of this instance. While there are any, it needs the events of the others. The first one
 * asks for their past.
 */
import type { MessageBody } from './message.ts';
import type { Peers } from './peers.ts';

/** How long a reader waits for the past of the other instances. */
const PAST_WITHIN_MS = 200;
/** The need lasts this much longer than the last reader, so that the next one need not ask for the past again. */
const LINGER_MS = 10_000;

/** Ends what a reader began. Call it once. */
export type EndReading = () => void;

export interface ReadersOptions {
  peers: Peers;
  /** Sends the state of this instance as well. False when it cannot be sent now. */
  send: (message: Pick<MessageBody, 'needs' | 'asks'>) => boolean;
  /** False as long as instances may be there that have not sent a heartbeat yet. */
  knowsPeers: () => boolean;
}

export class Readers {
  readonly #options: ReadersOptions;
  #count = 0;
  #lingersUntil = 0;
  /** Resolves when the past is here, or the wait for it is over. */
  #pastCame = Promise.resolve();
  /** Whose past is awaited, and what ends the wait. */
  #awaited: { names: Set<string>; end: () => void } | undefined;

  constructor(options: ReadersOptions) {
    this.#options = options;
  }

  get needEvents(): boolean {
    return this.#count > 0 || performance.now() < this.#lingersUntil;
  }

  /** A reader may hold a place among the events. Until the past is here, no reader does. */
  get holdPlaces(): boolean {
    return this.#count > 0 && this.#awaited === undefined;
  }

  /** Resolves when the past of the others is here, at the latest after 200 ms. */
  async begin(): Promise<EndReading> {
    const isFirst = !this.needEvents;
    this.#count += 1;
    if (isFirst) this.#pastCame = this.#askForPast();
    await this.#pastCame;
    return () => {
      this.#count -= 1;
      this.#lingersUntil = performance.now() + LINGER_MS;
    };
  }

  /** The past of an instance is here. */
  onPast(from: string): void {
    if (this.#awaited?.names.delete(from) && this.#awaited.names.size === 0) this.#awaited.end();
  }

  /** Ends the wait for the past. */
  stop(): void {
    this.#awaited?.end();
  }

  async #askForPast(): Promise<void> {
    const { peers, send, knowsPeers } = this.#options;
    const names = peers.withPast();
    const isSent = send({ needs: true, asks: true });
    if (!isSent || (names.size === 0 && knowsPeers())) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#awaited = undefined;
        resolve();
      };
      const timer = setTimeout(end, PAST_WITHIN_MS);
      this.#awaited = { names, end };
    });
  }
}
