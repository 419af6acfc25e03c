/** The one answer of an authenticity path: `200 OK`, always the same bytes. */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

const BODY = 'OK';
const HEADERS = { 'content-type': 'text/plain', 'content-length': BODY.length };
/** How long what a client still sends is swallowed after it was answered, so that it gets to read the answer. */
const LINGER_MS = 2000;

/**
 * Answers, if that was not done yet. No `Connection` header is sent: HTTP's own defaults hold, and the bytes don't tell
 * how the connection goes on. Only a process that stops says `close`, so that no proxy sends a post into a closing door.
 */
export function answerOk(response: ServerResponse, stopping: boolean): void {
  if (response.headersSent) return;
  if (stopping) response.setHeader('connection', 'close');
  else response.removeHeader('connection');
  response.writeHead(200, HEADERS).end(BODY);
}

/** The same answer for a connection that has no response object. */
export function okOnTheWire(): string {
  return `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: ${BODY.length}\r\nDate: ${new Date().toUTCString()}\r\n\r\n${BODY}`;
}

/** Ends a connection whose client may still be sending: closing it at once would take the answer away from it. */
export function hangUp(socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
  socket.end();
}
