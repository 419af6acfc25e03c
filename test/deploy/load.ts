/**
 * The load of Carat and the workers on a proxy: continuous posts over TLS and long polls, with
 * their outcomes.
 */
import { readFile } from 'node:fs/promises';
import { Agent as PlainAgent, request as plainRequest, type RequestOptions } from 'node:http';
import { Agent, request } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { LOOPBACK } from '../support/ports.ts';
import { scaled } from '../support/time-scale.ts';
import { type ProxyServer, SECRET_PATH } from './proxies.ts';

const WAIT_SECONDS = 5;
const HAND_OVER_WITHIN_MS = scaled(20_000);
const PAUSE_MS = 10;

export interface Answer {
  status: number;
  body: string;
}

export interface Outcome {
  posts: number;
  /** Answers other than `200 OK`, and posts without an answer. */
  refused: string[];
  handedOver: number;
  /** Posts answered 200 whose worker got another value, or none in time. */
  lost: string[];
  /** How often a worker was refused or disconnected, and repeated its request. */
  repolls: Record<string, number>;
}

export class Load {
  readonly outcome: Outcome = { posts: 0, refused: [], handedOver: 0, lost: [], repolls: {} };
  readonly #proxy: ProxyServer;
  readonly #carat: Agent;
  readonly #workers = new PlainAgent({ keepAlive: true });
  readonly #running: Promise<void>[] = [];
  #isOver = false;

  private constructor(proxy: ProxyServer, ca: Buffer) {
    this.#proxy = proxy;
    this.#carat = new Agent({ keepAlive: true, ca });
  }

  /** Each lane posts. For every second post, its worker waits before the post. */
  static async start(proxy: ProxyServer, lanes: number): Promise<Load> {
    const load = new Load(proxy, await readFile(proxy.certificate.certFile));
    for (let lane = 0; lane < lanes; lane++) load.#running.push(load.#lane(lane));
    return load;
  }

  /** Stops after the pending requests. */
  async stop(): Promise<Outcome> {
    this.#isOver = true;
    await Promise.all(this.#running);
    this.#carat.destroy();
    this.#workers.destroy();
    return this.outcome;
  }

  post(form: string, headers: Record<string, string> = {}): Promise<Answer> {
    const type = { 'content-type': 'application/x-www-form-urlencoded' };
    const where = { host: LOOPBACK, port: this.#proxy.port, path: SECRET_PATH, agent: this.#carat, method: 'POST' };
    return send({ ...where, headers: { ...type, ...headers } }, request, form);
  }

  get(path: string): Promise<Answer> {
    const where = { host: LOOPBACK, port: this.#proxy.workerPort, path, agent: this.#workers };
    return send(where, plainRequest);
  }

  async #lane(lane: number): Promise<void> {
    for (let turn = 0; !this.#isOver; turn++) {
      const correlator = `lane-${lane}-${turn}`;
      const value = `${correlator}-`.padEnd(64, 'x');
      const waited = turn % 2 === 0 ? this.#wait(correlator, value) : undefined;
      const kept = await this.#postOne(`seid=${value}&merchant_data=${correlator}`);
      if (kept) await (waited ?? this.#wait(correlator, value));
      await delay(PAUSE_MS);
    }
  }

  async #postOne(form: string): Promise<boolean> {
    this.outcome.posts++;
    const answer = await this.post(form).catch((error: Error) => ({ status: 0, body: error.message }));
    if (answer.status === 200 && answer.body === 'OK') return true;
    this.outcome.refused.push(`${answer.status} ${answer.body}`);
    return false;
  }

  async #wait(correlator: string, value: string): Promise<void> {
    const deadline = performance.now() + HAND_OVER_WITHIN_MS;
    while (performance.now() < deadline) {
      const answer = await this.get(`/v1/tokens?merchant_data=${correlator}&wait=${WAIT_SECONDS}`).catch(
        (error: NodeJS.ErrnoException) => ({ status: 0, body: error.code ?? error.message }),
      );
      if (answer.status === 200) {
        if (JSON.parse(answer.body).value === value) this.outcome.handedOver++;
        else this.outcome.lost.push(`${correlator}: got another value`);
        return;
      }
      const why = answer.status === 0 ? answer.body : String(answer.status);
      this.outcome.repolls[why] = (this.outcome.repolls[why] ?? 0) + 1;
      await delay(PAUSE_MS);
    }
    this.outcome.lost.push(`${correlator}: nothing came`);
  }
}

function send(options: RequestOptions, by: typeof request | typeof plainRequest, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = by(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
      response.on('error', reject);
    });
    sent.on('error', reject).end(body);
  });
}
