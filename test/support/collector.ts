/** A trace collector: a real HTTP server that records requests, and can be slow or refuse. */
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { LOOPBACK } from './ports.ts';

export interface CollectedSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: { stringValue?: string; intValue?: string } }[];
  links?: { traceId: string; spanId: string }[];
  status: { code?: number };
}

export class Collector {
  /** The received requests: address, headers and body. */
  readonly requests: { url: string; headers: IncomingHttpHeaders; body: string }[] = [];
  status = 200;
  /** Awaited before each answer. */
  answers: Promise<unknown> = Promise.resolve();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request.setEncoding('utf8')) body += chunk;
      this.requests.push({ url: request.url ?? '', headers: request.headers, body });
      await this.answers;
      response.writeHead(this.status, { 'content-type': 'application/json', connection: 'close' }).end('{}');
    });
  }

  static async start(): Promise<Collector> {
    const collector = new Collector();
    await new Promise<void>((resolve) => collector.#server.listen(0, LOOPBACK, resolve));
    return collector;
  }

  get url(): string {
    return `http://${LOOPBACK}:${(this.#server.address() as AddressInfo).port}`;
  }

  get spans(): CollectedSpan[] {
    return this.requests.flatMap(({ body }) =>
      JSON.parse(body).resourceSpans.flatMap(({ scopeSpans }: { scopeSpans: { spans: CollectedSpan[] }[] }) =>
        scopeSpans.flatMap(({ spans }) => spans),
      ),
    );
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** The attributes of a span, by name. */
export function attributesOf({ attributes }: CollectedSpan): Record<string, string | undefined> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue]));
}
