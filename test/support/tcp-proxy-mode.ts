/** Network conditions between a client and a server. */
export type Mode =
  /** Forwards everything, also held-back bytes. */
  | { kind: 'pass' }
  /** Refuses new connections: nothing listens. Existing ones continue. */
  | { kind: 'refuse' }
  /** Accepts and resets each new connection. Existing ones continue. */
  | { kind: 'reset' }
  /** Delays each chunk by this many milliseconds. The bytes behind it wait in the kernel. */
  | { kind: 'slow'; toServer?: number; toClient?: number }
  /**
   * Holds back bytes, ends and resets, in order, until the mode changes: a network that recovers.
   */
  | { kind: 'stall'; direction: Direction | 'both' }
  /**
   * Drops bytes, ends and resets, and keeps connections open: a network that does not recover. `to
   * client` forwards a request and loses its answer. A connection that lost bytes is cut when the
   * mode would let it continue.
   */
  | { kind: 'blackhole'; direction: Direction | 'both' }
  /**
   * Each connection may send this many more bytes in a direction. At the next byte, the sender is
   * reset. The receiver gets the forwarded bytes, then an end.
   */
  | { kind: 'limit'; toServer?: number; toClient?: number };

export type Direction = 'to server' | 'to client';

/** A mode, and a signal that aborts when another mode replaces it. */
export interface ModeInForce {
  mode: Mode;
  over: AbortSignal;
}
