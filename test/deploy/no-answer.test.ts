/**
 * The proxies of `deploy/` in front of instances that read a request and do not answer: which
 * requests go to the other one.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Agent, request } from 'node:https';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { freePort, LOOPBACK } from '../support/ports.ts';
import type { Place } from './instance.ts';
import { type ProxyName, ProxyServer, SECRET_PATH } from './proxies.ts';

const HOSTS = ['127.0.0.11', '127.0.0.12'] as const;

/** What an instance does with a request that it has read. */
type Behaviour = (host: string, response: ServerResponse) => void;
const closes: Behaviour = (_host, response) => response.socket?.destroy();
const drains: Behaviour = (_host, response) => response.writeHead(503, { 'retry-after': '1' }).end();

let behaviour: Behaviour;
/** The requests that instances read, without /livez: `METHOD host`. */
let read: string[];
const servers: Server[] = [];
let stubs: readonly [{ place: Place }, { place: Place }];

beforeAll(async () => {
  const ports = { port: await freePort(), workerPort: await freePort() };
  for (const host of HOSTS) {
    for (const port of [ports.port, ports.workerPort]) {
      const server = createServer((message, response) => void answer(host, message, response));
      server.listen(port, host);
      await once(server, 'listening');
      servers.push(server);
    }
  }
  stubs = [{ place: { host: HOSTS[0], ...ports } }, { place: { host: HOSTS[1], ...ports } }];
});
afterAll(async () => {
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
});
beforeEach(() => {
  read = [];
});

async function answer(host: string, message: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await text(message);
  if (message.url === '/livez' || message.url === '/readyz') {
    response.end('ok');
    return;
  }
  read.push(`${message.method} ${host} ${body.length}`);
  behaviour(host, response);
}

describe.each<ProxyName>(['nginx', 'haproxy', 'caddy'])('behind %s', (name) => {
  let proxy: ProxyServer;
  beforeAll(async () => {
    proxy = await ProxyServer.start(name, stubs);
  });
  afterAll(() => proxy?.stop());

  /** The status of the answer; undefined if the proxy closes the connection, too. */
  const ask = async (method: string, path: string): Promise<number | undefined> => {
    const headers = { connection: 'close', 'content-type': 'application/json' };
    const body = '{"wait":1}';
    const asked = fetch(`http://${LOOPBACK}:${proxy.workerPort}${path}`, { method, headers, body });
    return asked.then(
      async (answered) => {
        await answered.text();
        return answered.status;
      },
      () => undefined,
    );
  };

  test.each([
    ['closes', closes],
    ['stops', drains],
  ])('a request that asks Carat goes to one instance only, even when that %s', async (_what, does) => {
    behaviour = does;
    for (const path of ['/v1/recharges', '/v1/generic-tokens']) {
      read = [];
      expect((await ask('POST', path)) ?? 502).toBeGreaterThanOrEqual(500);
      expect(read).toHaveLength(1);
    }
  });

  if (name === 'caddy') return;

  test.each([
    ['closes', closes],
    ['stops', drains],
  ])('a claim goes to the other instance when one %s', async (_what, does) => {
    behaviour = (host, response) => (host === HOSTS[0] ? does(host, response) : response.end('{}'));
    for (let claim = 0; claim < 4; claim++) expect(await ask('PUT', '/v1/claims/job-17')).toBe(200);
    expect(read).toContain(`PUT ${HOSTS[0]} 10`);
    expect(read.filter((one) => one === `PUT ${HOSTS[1]} 10`)).toHaveLength(4);
  });

  test.each([16 * 1024, 10])('a post of %d bytes goes to the other instance when one closes', async (bytes) => {
    behaviour = (host, response) => (host === HOSTS[0] ? closes(host, response) : response.end('OK'));
    const ca = await readFile(proxy.certificate.certFile);
    const agent = new Agent({ keepAlive: false, ca });
    for (let post = 0; post < 4; post++) {
      const where = { host: LOOPBACK, port: proxy.port, path: SECRET_PATH, method: 'POST', agent };
      const sent = request(where).end('x'.repeat(bytes));
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      expect([response.statusCode, await text(response)]).toEqual([200, 'OK']);
    }
    expect(read).toContain(`POST ${HOSTS[0]} ${bytes}`);
    expect(read.filter((one) => one === `POST ${HOSTS[1]} ${bytes}`)).toHaveLength(4);
  });
});
