/**
 * The floor of a hand-over: node:http with a Map. It stores tokens only in memory, without checks
 * or expiry, so only the two HTTP hops remain. With FLOOR_FILE, it appends each post to a file and
 * syncs it before the answer. Posts during a sync share the next one.
 */
import { open } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';

const tokens = new Map<string, string>();
const waiting = new Map<string, ServerResponse>();
const file = process.env['FLOOR_FILE'] === undefined ? undefined : await open(process.env['FLOOR_FILE'], 'a');
let lines: string[] = [];
let writing: Promise<void> | undefined;
let next: Promise<void> | undefined;

function kept(line: string): Promise<void> {
  lines.push(line);
  next ??= (writing ?? Promise.resolve()).then(async () => {
    const batch = lines.join('\n');
    lines = [];
    writing = next;
    next = undefined;
    await file?.write(batch);
    await file?.datasync();
  });
  return next;
}

function hand(response: ServerResponse, value: string): void {
  const body = JSON.stringify({ kind: 'seid', value });
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
}

createServer((request, response) => {
  if (request.method === 'GET') {
    const key = new URLSearchParams(request.url?.split('?')[1]).get('merchant_data') ?? '';
    const value = tokens.get(key);
    if (value === undefined) waiting.set(key, response);
    else hand(response, value);
    return;
  }
  let body = '';
  request.setEncoding('utf8');
  request.on('data', (chunk: string) => {
    body += chunk;
  });
  request.on('end', async () => {
    const form = new URLSearchParams(body);
    const key = form.get('merchant_data') ?? '';
    const value = form.get('seid') ?? '';
    tokens.set(key, value);
    const waiter = waiting.get(key);
    waiting.delete(key);
    if (waiter !== undefined) hand(waiter, value);
    if (file !== undefined) await kept(body);
    response.writeHead(200, { 'content-type': 'text/plain', 'content-length': 2 }).end('OK');
  });
}).listen(Number(process.env['PORT']), '127.0.0.1');
