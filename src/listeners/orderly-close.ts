/**
 * Closes a server without losing requests that clients have already sent. A proxy answers 502 for a reset connection, and
 * retries only requests that it considers idempotent. It always retries a refused connection on another instance.
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';

/** Bounds `acceptPending` under a flood of new connections. */
const MAX_TURNS = 1000;

/**
 * Resolves when the server has accepted every connection that the kernel holds, so that closing resets none. libuv
 * accepts one connection in each turn of the event loop. Call `server.close()` in the same turn.
 */
export async function acceptPending(server: Server): Promise<void> {
  let idleTurns = 0;
  const onConnection = (): void => {
    idleTurns = 0;
  };
  server.on('connection', onConnection);
  // The first turn may end before the event loop polls.
  for (let turn = 0; idleTurns < 2 && turn < MAX_TURNS; turn += 1) {
    idleTurns += 1;
    await new Promise(setImmediate);
  }
  server.off('connection', onConnection);
}

/**
 * Keeps idle connections open for a time after `server.close()`, which would destroy them at once. A request may be on its
 * way on one of them. The caller answers it with `Connection: close`.
 */
export function keepIdleConnections(server: Server, ms: number): void {
  const closeIdle = server.closeIdleConnections.bind(server);
  server.closeIdleConnections = () => undefined;
  const timer = setTimeout(closeIdle, ms);
  server.once('close', () => clearTimeout(timer));
}

/** Tracks the requests of a server. Returns a function that destroys every connection without a completely read request. */
export function watchRequests(server: Server): () => void {
  const open = new Map<Socket, Set<IncomingMessage>>();
  server.on('connection', (socket: Socket) => {
    open.set(socket, new Set());
    socket.once('close', () => open.delete(socket));
  });
  server.on('request', (request, response) => {
    const requests = open.get(request.socket);
    requests?.add(request);
    response.once('close', () => requests?.delete(request));
  });
  return () => {
    for (const [socket, requests] of open) if (![...requests].some(({ complete }) => complete)) socket.destroy();
  };
}
