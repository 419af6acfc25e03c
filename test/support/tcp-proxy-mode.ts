/** What the network between a client and a server can be made to do. */
export type Mode =
  /** Everything goes through, and so does what was held back. */
  | { kind: 'pass' }
  /** Nothing listens: a new connection is refused. Those that exist go on. */
  | { kind: 'refuse' }
  /** A new connection is accepted and reset at once. Those that exist go on. */
  | { kind: 'reset' }
  /** Each chunk waits for so many milliseconds. The bytes behind it wait in the kernel. */
  | { kind: 'slow'; toServer?: number; toClient?: number }
  /** Bytes, ends and resets are held back, in order, until the mode changes: a network that will heal. */
  | { kind: 'stall'; direction: Direction | 'both' }
  /**
   * Bytes, ends and resets are swallowed, and connections stay open: a network that will not heal. `to client` lets a
   * request through and loses its answer. A connection that lost something is cut when a mode would let it go on.
   */
  | { kind: 'blackhole'; direction: Direction | 'both' }
  /**
   * Each connection may pass so many more bytes in a direction. When one byte more comes, the sender is reset, and the
   * receiver sees what was passed, then an end.
   */
  | { kind: 'limit'; toServer?: number; toClient?: number };

export type Direction = 'to server' | 'to client';

/** A mode, and a signal that aborts when another takes its place. */
export interface ModeInForce {
  mode: Mode;
  over: AbortSignal;
}
