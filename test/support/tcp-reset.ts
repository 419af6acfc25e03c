import type { Socket } from 'node:net';

/**
 * Resets the connection at once: the peer gets RST, whatever is still unsent. Node's own `resetAndDestroy` first sends
 * what is pending and FIN, so that it waits for a peer that does not read, and shows an orderly end to one that does.
 * It then sets the flag that is set here; the proxy's tests would notice a Node without it.
 */
export function reset(socket: Socket): void {
  const shuttingDown = socket.writableEnded && !socket.writableFinished;
  // A socket that is not connected yet, or is about to send its FIN, cannot be reset by libuv.
  if (!socket.connecting && !shuttingDown) Object.assign(socket, { resetAndClosing: true });
  socket.destroy();
}
