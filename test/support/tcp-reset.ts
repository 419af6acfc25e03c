import type { Socket } from 'node:net';

/**
 * Resets the connection at once: the peer gets RST, also with unsent bytes. Node's own
 * `resetAndDestroy` first sends pending bytes and FIN. So it waits for a peer that does not read,
 * and a peer that reads sees an orderly end. It then sets the flag that is set here. The proxy's
 * tests fail on a Node without this flag.
 */
export function reset(socket: Socket): void {
  const shuttingDown = socket.writableEnded && !socket.writableFinished;
  // libuv cannot reset a socket that is not connected yet or is about to send its FIN.
  if (!socket.connecting && !shuttingDown) Object.assign(socket, { resetAndClosing: true });
  socket.destroy();
}
