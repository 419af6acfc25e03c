/**
 * The two HTTP hops of all alternatives: a post that is stored, and a worker that waits for its
 * key.
 */
import { createServer, type ServerResponse } from 'node:http';

export interface Way {
  keep(key: string, value: string): Promise<unknown>;
  /** @param response may be closed before the value arrives */
  wait(key: string, response: ServerResponse): Promise<string>;
}

/** Listens on PORT. */
export function serve(way: Way): void {
  createServer(async (request, response) => {
    if (request.method === 'GET') {
      const key = new URLSearchParams(request.url?.split('?')[1]).get('merchant_data') ?? '';
      const body = JSON.stringify({ kind: 'seid', value: await way.wait(key, response) });
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
      return;
    }
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += chunk;
    const form = new URLSearchParams(text);
    await way.keep(form.get('merchant_data') ?? '', form.get('seid') ?? '');
    response.writeHead(200, { 'content-type': 'text/plain', 'content-length': 2 }).end('OK');
  }).listen(Number(process.env['PORT']), '127.0.0.1');
}
