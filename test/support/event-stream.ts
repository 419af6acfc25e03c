/** A reader of `/v1/events` or another stream, on its own connection. It can stop reading. */
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { until } from './until.ts';

export interface StreamedEvent {
  /** Undefined for an event about the stream itself. */
  id: string | undefined;
  name: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into what came, whatever it is.
  data: any;
}

export interface EventStreamOptions {
  key?: string;
  /** Sent as `Last-Event-ID`. */
  lastId?: string | undefined;
  merchant?: string;
  path?: string;
}

export class EventStream {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  /** The received text, with comments. */
  text = '';
  /** True when the service ended the stream or the connection broke. */
  ended = false;
  readonly #request: ClientRequest;
  readonly #response: IncomingMessage;

  private constructor(sent: ClientRequest, response: IncomingMessage) {
    this.#request = sent;
    this.#response = response;
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      this.text += chunk;
    });
    response.on('error', () => {});
    response.on('close', () => {
      this.ended = true;
    });
  }

  static open(workerUrl: string, options: EventStreamOptions = {}): Promise<EventStream> {
    const { key, lastId, merchant, path = '/v1/events' } = options;
    const headers = {
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(lastId === undefined ? {} : { 'last-event-id': lastId }),
    };
    const search = merchant === undefined ? '' : `?merchant=${merchant}`;
    return new Promise((resolve, reject) => {
      const sent = request(`${workerUrl}${path}${search}`, { headers, agent: false });
      sent.on('error', reject);
      sent.on('response', (response) => resolve(new EventStream(sent, response)));
      sent.end();
    });
  }

  /** The complete events so far. */
  get events(): StreamedEvent[] {
    return this.text
      .split('\n\n')
      .slice(0, -1)
      .filter((block) => !block.startsWith(':'))
      .map((block) => {
        const field = (name: string): string | undefined => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
        return { id: field('id'), name: field('event') ?? '', data: JSON.parse(field('data') ?? 'null') };
      });
  }

  /** Resolves with the first event that matches, now or later. */
  async until(what: string, wanted: (event: StreamedEvent) => boolean): Promise<StreamedEvent> {
    return until(`${what} on the stream, which has ${this.text.slice(-500)}`, () => this.events.find(wanted));
  }

  async isEnded(): Promise<void> {
    await until('the stream ends', () => this.ended);
  }

  /** Stops reading. Sent bytes stay in the kernel, and then in the service. */
  pause(): void {
    this.#response.pause();
  }

  resume(): void {
    this.#response.resume();
  }

  close(): void {
    this.#request.destroy();
  }
}
