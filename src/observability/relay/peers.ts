/** The other instances: known from their heartbeats, forgotten when those stop. */
import type { InstanceState } from './message.ts';

/** An instance that was silent for this long is gone, and so is its need of events. */
export const GONE_AFTER_MS = 7000;
export const MOST_INSTANCES = 100;

interface Peer {
  state: InstanceState;
  seenAt: number;
  sendsPast: boolean;
}

export class Peers {
  readonly #peers = new Map<string, Peer>();

  /** `sendsPast`: it answers when it is asked for its past. */
  record(name: string, state: InstanceState, sendsPast: boolean): void {
    if (!this.#peers.has(name) && this.#peers.size >= MOST_INSTANCES) return;
    this.#peers.set(name, { state, seenAt: performance.now(), sendsPast });
  }

  /** By name. */
  states(): InstanceState[] {
    const states = this.#present().map(([, { state }]) => state);
    return states.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The names of those that send their past. */
  withPast(): Set<string> {
    return new Set(this.#present().flatMap(([name, { sendsPast }]) => (sendsPast ? [name] : [])));
  }

  #present(): [string, Peer][] {
    const oldest = performance.now() - GONE_AFTER_MS;
    for (const [name, { seenAt }] of this.#peers) if (seenAt < oldest) this.#peers.delete(name);
    return [...this.#peers];
  }
}
