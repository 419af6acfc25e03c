/** Bounds how much of a connection Node parses before other connections get their turn. */
import type { Socket } from 'node:net';

/** Holds every post of Carat. */
const PIECE_BYTES = 4096;

export interface ParsedConnection {
  /** Nothing was received yet. */
  isSilent: boolean;
  /** Node cannot parse what follows; it reports this for each piece that arrives. */
  isBroken: boolean;
}

/**
 * Passes received bytes to Node's parser in pieces, and stops while the socket is paused. Without this, Node parses all
 * that one read brings, up to 64 KiB or thousands of pipelined requests, at once. Other connections would wait, and
 * pausing the socket would come too late.
 */
export function parseInPieces(socket: Socket, connection: ParsedConnection): void {
  const [parse] = socket.listeners('data') as ((piece: Buffer) => void)[];
  if (parse === undefined) return;
  socket.off('data', parse);
  socket.on('data', (bytes: Buffer) => {
    connection.isSilent = false;
    for (let at = 0; at < bytes.length && !connection.isBroken; at += PIECE_BYTES) {
      if (socket.isPaused()) {
        socket.unshift(bytes.subarray(at));
        return;
      }
      parse(bytes.length <= PIECE_BYTES ? bytes : bytes.subarray(at, at + PIECE_BYTES));
    }
  });
}
