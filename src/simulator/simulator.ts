/**
 * A stand-in for Carat: the calls of both its base addresses, with statuses, expiry and single use, and the authenticity
 * post made inside the call. It shares no code with the service and the client that are tried against it.
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
  /** Where the authenticity posts go. */
  authenticityUrl: string;
  /** The stores that are let in; any well-formed pair of id and key when left out. */
  stores?: readonly Store[];
  /** How long a NIT, SEID or token lives, in milliseconds; default 900 000. Carat's time is not published. */
  expiryMs?: number;
  /** How long the store may take to answer a post, in milliseconds; default 30 000. Carat's time is not published. */
  postTimeoutMs?: number;
}

export interface Simulator {
  app: FastifyInstance;
  world: World;
  /** `held` (name of the call) when a `hold` fault has stopped a call; `post` (a `PostMade`) after each post. */
  events: EventEmitter;
  /** Starts to listen; port 0 takes a free one. Answers the address, without a path. */
  listen(options?: { host?: string; port?: number }): Promise<string>;
  /** Where it listens, without a path; empty until then. */
  readonly url: string;
  /** The base addresses to give to a client, once it listens. */
  addresses(): { portal: string; recharge: string };
  /** Plans a fault for the next call of that name, or `times` of them. */
  plan(fault: Omit<PlannedFault, 'times'> & { times?: number }): void;
  /** Changes where the posts go. */
  postTo(authenticityUrl: string): void;
  close(): Promise<void>;
}

/** Makes a simulator. `listen` starts it. */
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
  // Carat's own examples end some paths with a slash.
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
