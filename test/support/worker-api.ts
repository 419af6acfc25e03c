/** Carat and workers as plain HTTP clients of a service. Each request has its own connection. */
import { Agent, request } from 'node:http';
import { scaled } from './time-scale.ts';
import { until } from './until.ts';

export interface Answer {
  status: number;
  ms: number;
  /** The parsed JSON; undefined if it is none. */
  body: Record<string, unknown> | undefined;
  text: string;
}

export interface Endpoints {
  authenticityUrl: string;
  workerUrl: string;
}

/** The answer of a service that accepts and then sends nothing. */
const GIVE_UP_AFTER_MS = scaled(90_000);

export class Api {
  readonly at: Endpoints;
  readonly #agent: Agent;

  /** @param agent used instead of one connection per request */
  constructor(at: Endpoints, agent = new Agent({ keepAlive: false })) {
    this.at = at;
    this.#agent = agent;
  }

  /** Posts a form as Carat does. */
  post(fields: Record<string, string>, path = '/authenticity'): Promise<Answer> {
    const body = new URLSearchParams(fields).toString();
    return this.#send('POST', this.at.authenticityUrl + path, body, 'application/x-www-form-urlencoded');
  }

  read(selector: Record<string, string | number>): Promise<Answer> {
    const query = new URLSearchParams(
      Object.entries(selector).map(([name, value]): [string, string] => [name, `${value}`]),
    );
    return this.get(`/v1/tokens?${query}`);
  }

  claim(id: string, body: Record<string, unknown>): Promise<Answer> {
    return this.#send('PUT', `${this.at.workerUrl}/v1/claims/${id}`, JSON.stringify(body), 'application/json');
  }

  /** Announces a request to Carat. */
  expect(body: Record<string, unknown>): Promise<Answer> {
    return this.#send('POST', `${this.at.workerUrl}/v1/expectations`, JSON.stringify(body), 'application/json');
  }

  /** Cancels an announcement: the request to Carat failed. */
  cancel(id: string, merchant = 'default'): Promise<Answer> {
    return this.#send('DELETE', `${this.at.workerUrl}/v1/expectations/${id}?merchant=${merchant}`);
  }

  /** Settles a claim: its token was used. */
  used(id: string, merchant = 'default'): Promise<Answer> {
    return this.#send('DELETE', `${this.at.workerUrl}/v1/claims/${id}?merchant=${merchant}`);
  }

  release(id: string, merchant = 'default'): Promise<Answer> {
    return this.#send('POST', `${this.at.workerUrl}/v1/claims/${id}/release?merchant=${merchant}`);
  }

  use(token: string, merchant = 'default'): Promise<Answer> {
    return this.#send('DELETE', `${this.at.workerUrl}/v1/tokens/${token}?merchant=${merchant}`);
  }

  get(path: string): Promise<Answer> {
    return this.#send('GET', this.at.workerUrl + path);
  }

  /** The sum of a metric over the label sets with the given text. */
  async metric(name: string, labels = ''): Promise<number> {
    const { text } = await this.get('/metrics');
    const lines = text.split('\n').filter((line) => line.startsWith(`carat_authenticity_${name}`));
    return lines.filter((line) => line.includes(labels)).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  #send(method: string, url: string, body = '', type?: string): Promise<Answer> {
    const begun = performance.now();
    return new Promise((resolve, reject) => {
      const headers = {
        'content-length': Buffer.byteLength(body),
        ...(type === undefined ? {} : { 'content-type': type }),
      };
      const sent = request(url, { method, agent: this.#agent, headers, timeout: GIVE_UP_AFTER_MS }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', reject);
        response.on('end', () => {
          const json = /json/.test(response.headers['content-type'] ?? '');
          resolve({
            status: response.statusCode ?? 0,
            ms: performance.now() - begun,
            body: json ? JSON.parse(text) : undefined,
            text,
          });
        });
      });
      sent.on('timeout', () => sent.destroy(new Error(`expected ${method} ${url} to be answered`)));
      sent.on('error', reject);
      sent.end(body);
    });
  }
}

/** Repeats a request while the answer is `store_away`: on a busy machine, Redis may be slow. */
export function untilKnown(ask: () => Promise<Answer>): Promise<Answer> {
  return until('the service knows', async () => {
    const answer = await ask();
    return answer.status !== 503 && answer;
  });
}
