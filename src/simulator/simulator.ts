/**
 * A simulator of Carat: the calls of both base addresses, with statuses, expiry and single use. It
 * makes the authenticity post during the call. It shares no code with the service and the client
 * under test.
 */
import { EventEmitter } from 'node:events';
import type { FastifyInstance } from 'fastify';
import fastify from 'fastify';
import type { Context, Store } from './call.ts';
import { addCancellations } from './cancellations.ts';
import { BAD_FIELD } from './codes.ts';
import { addControl } from './control.ts';
import { FaultPlan, type PlannedFault } from './faults.ts';
import { addRecharges } from './recharges.ts';
import { addScheduleEdits } from './schedule-edits.ts';
import { addSchedules } from './schedules.ts';
import { addTokens } from './tokens.ts';
import { World } from './world.ts';

export interface SimulatorOptions {
  /** The address for authenticity posts. */
  authenticityUrl: string;
  /** The accepted stores; absent: any well-formed pair of id and key. */
  stores?: readonly Store[];
  /** Life of a NIT, SEID or token in milliseconds; default 900 000. Carat's time is not published. */
  expiryMs?: number;
  /**
   * Limit for the store's answer to a post in milliseconds; default 30 000. Carat's time is not
   * published.
   */
  postTimeoutMs?: number;
}

export interface Simulator {
  app: FastifyInstance;
  world: World;
  /**
   * `held` (name of the call) after a `hold` fault has stopped a call; `post` (a `PostMade`) after
   * each post.
   */
  events: EventEmitter;
  /** Starts to listen; port 0 takes a free port. Resolves to the address, without a path. */
  listen(options?: { host?: string; port?: number }): Promise<string>;
  /** The address, without a path; empty before `listen`. */
  readonly url: string;
  /** The base addresses for a client, after `listen`. */
  addresses(): { portal: string; recharge: string };
  /** Plans a fault for the next call of that name, or the next `times` calls. */
  plan(fault: Omit<PlannedFault, 'times'> & { times?: number }): void;
  /** Changes the address for posts. */
  postTo(authenticityUrl: string): void;
  close(): Promise<void>;
}

/** Creates a simulator. `listen` starts it. */
export function createSimulator(options: SimulatorOptions): Simulator {
  const events = new EventEmitter();
  const context: Context = {
    world: new World(options.expiryMs ?? 900_000),
    plan: new FaultPlan(),
    events,
    held: new Map(),
    stores: options.stores ?? [],
    authenticityUrl: options.authenticityUrl,
    postTimeoutMs: options.postTimeoutMs ?? 30_000,
    afterwards: new Set(),
  };
  // Some paths in Carat's examples end with a slash.
  const app = fastify({
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 200 },
    forceCloseConnections: true,
  });
  app.setErrorHandler((error: { statusCode?: number }, _request, reply) =>
    reply.code(error.statusCode ?? 500).send({ code: BAD_FIELD, message: 'Invalid request' }),
  );
  addSchedules(app, context);
  addScheduleEdits(app, context);
  addCancellations(app, context);
  addRecharges(app, context);
  addTokens(app, context);
  addControl(app, context);
  let address = '';
  return {
    app,
    world: context.world,
    events,
    async listen({ host = '127.0.0.1', port = 0 } = {}) {
      address = await app.listen({ host, port });
      return address;
    },
    get url() {
      return address;
    },
    addresses: () => ({ portal: `${address}/e-sitef/api`, recharge: `${address}/e-sitef` }),
    plan: (fault) => context.plan.add({ times: 1, ...fault }),
    postTo: (authenticityUrl) => {
      context.authenticityUrl = authenticityUrl;
    },
    async close() {
      for (const waiting of context.held.values()) for (const go of waiting) go();
      context.held.clear();
      await app.close();
      await Promise.all(context.afterwards);
    },
  };
}
