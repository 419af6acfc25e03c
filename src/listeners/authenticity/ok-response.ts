/** The one answer of an authenticity path: `200 OK`, always the same bytes. */
import type { Socket } from 'node:net';
import type { FastifyReply } from 'fastify';

const BODY = 'OK';
const TYPE = 'text/plain';
/** A client that is still sending after its answer has this long to read the answer. */
const LINGER_MS = 2000;

/**
 * Sends the answer. It has no `Connection` header: HTTP's own defaults hold, and the bytes do not show whether the
 * connection ends. Only a stopping process says `close`, so that no proxy sends it another post.
 */
export function answerOk(reply: FastifyReply, isStopping: boolean): void {
  // Fastify sets the header when it could not parse a body.
  reply.removeHeader('connection').raw.removeHeader('connection');
  if (isStopping) reply.header('connection', 'close');
  reply.code(200).header('content-type', TYPE).send(BODY);
}

/** The same answer for a connection that has no response object. */
export function okOnTheWire(): string {
  return `HTTP/1.1 200 OK\r\ncontent-type: ${TYPE}\r\ncontent-length: ${BODY.length}\r\nDate: ${new Date().toUTCString()}\r\n\r\n${BODY}`;
}

/** Ends a connection whose client may still be sending. A close at once could take the answer away from the client. */
export function hangUp(socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
  socket.end();
}
