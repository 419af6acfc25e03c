/**
 * An authenticity address on a real socket, and a token source of the tokens posted to it. The
 * flows' tests run against it without a receiver.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Announced, HeldToken, TakeOptions, TokenSource } from '../../src/carat/index.ts';

export interface PostReceived {
  contentType: string | undefined;
  fields: Record<string, string>;
}

export interface StoreServer {
  url: string;
  posts: PostReceived[];
  /** What happened at the token source, in order: `announce`, `take`, `post`, `taken`, `used`, `release`, `cancel`. */
  log: string[];
  source: TokenSource;
  /** The status that posts are answered with. */
  status: number;
  /** Where posts are forwarded to, if set. */
  redirect: string | undefined;
  /** Makes one method of the source fail. */
  fail: Partial<Record<keyof TokenSource, Error>>;
  close(): Promise<void>;
}

interface Kept {
  kind: string;
  value: string;
  fields: Record<string, string>;
  state: 'live' | 'held' | 'used';
}

export async function startStore(): Promise<StoreServer> {
  const kept: Kept[] = [];
  const wake = new Set<() => void>();
  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      const fields = Object.fromEntries(new URLSearchParams(body));
      store.posts.push({ contentType: request.headers['content-type'], fields });
      store.log.push('post');
      for (const kind of ['seid', 'nit', 'token']) {
        const value = fields[kind];
        if (value !== undefined && !kept.some((one) => one.value === value)) {
          kept.push({ kind, value, fields, state: 'live' });
        }
      }
      for (const go of wake) go();
      const headers = store.redirect === undefined ? {} : { location: store.redirect };
      response.writeHead(store.status, headers).end('OK');
    });
  });
  const store: StoreServer = {
    url: await listen(server),
    posts: [],
    log: [],
    source: memorySource(kept, wake, () => store),
    status: 200,
    redirect: undefined,
    fail: {},
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
  return store;
}

function memorySource(kept: Kept[], wake: Set<() => void>, store: () => StoreServer): TokenSource {
  let count = 0;
  const step = (verb: keyof TokenSource): void => {
    store().log.push(verb);
    const error = store().fail[verb];
    if (error !== undefined) throw error;
  };
  const matches = (one: Kept, { kind, selector }: Announced): boolean => {
    if (one.kind !== kind || one.state !== 'live') return false;
    if (selector.merchant_data !== undefined) return one.fields['merchant_data'] === selector.merchant_data;
    if (selector.merchant_usn !== undefined) return one.fields['merchantUSN'] === selector.merchant_usn;
    return one.fields['merchantUSN'] === undefined && one.fields['merchant_data'] === undefined;
  };
  return {
    async announce({ kind, selector }) {
      step('announce');
      count += 1;
      const fresh = kind === 'seid' ? { merchant_data: `data${count}x${Math.random().toString(36).slice(2, 10)}` } : {};
      return { id: `expectation-${count}`, kind, selector: selector ?? fresh };
    },
    async take(announced: Announced, { claimId, timeoutMs, signal }: TakeOptions): Promise<HeldToken | undefined> {
      step('take');
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
      for (;;) {
        const found = kept.findLast((one) => matches(one, announced));
        if (found !== undefined) {
          found.state = 'held';
          store().log.push('taken');
          return { id: `id-${kept.indexOf(found)}`, value: found.value, claimId };
        }
        if (deadline.aborted) return undefined;
        await new Promise<void>((resolve) => {
          const go = (): void => {
            wake.delete(go);
            deadline.removeEventListener('abort', go);
            resolve();
          };
          wake.add(go);
          deadline.addEventListener('abort', go);
        });
      }
    },
    async used(token) {
      step('used');
      for (const one of kept) if (one.value === token.value) one.state = 'used';
    },
    async release(token) {
      step('release');
      for (const one of kept) if (one.value === token.value) one.state = 'live';
      for (const go of wake) go();
    },
    async cancel() {
      step('cancel');
    },
  };
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/authenticity`;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
