/**
 * Shared parts of Carat's calls: the caller, due faults, the authenticity post during a call, and
 * the answer. The files beside this one define each call.
 */
import { randomBytes } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type FaultPlan, type Faults, faultsInHeader } from './faults.ts';
import { postForm } from './poster.ts';
import type { Issued, World } from './world.ts';

export interface Store {
  id: string;
  key: string;
  /** The address for this store's posts; default: the simulator's `authenticityUrl`. */
  authenticityUrl?: string;
}

/** The state that the simulator's parts share. */
export interface Context {
  world: World;
  plan: FaultPlan;
  /** Emits `held` with the name of a call that a `hold` fault has stopped, and `post` with each `PostMade`. */
  events: EventEmitter;
  /** Functions that release held calls. */
  held: Map<string, (() => void)[]>;
  /** The known stores; if empty, every well-formed pair of id and key is accepted. */
  stores: readonly Store[];
  authenticityUrl: string;
  postTimeoutMs: number;
  /** Posts that continue after the answer to their call. */
  afterwards: Set<Promise<unknown>>;
}

export interface Answer {
  status: number;
  body: Record<string, unknown>;
}

export type Fields = { readonly [name: string]: unknown };

export interface Call {
  name: string;
  /** The key of the calling store: the owner of the issued identifiers. */
  owner: string;
  faults: Faults;
  params: Record<string, string>;
  query: Record<string, string>;
  body: Fields;
  headers: FastifyRequest['headers'];
  /**
   * Posts to the store and returns whether it answered exactly 200. Otherwise the issued identifier
   * becomes `INV`.
   */
  post(issued: Issued, fields: (id: string) => Record<string, string>): Promise<boolean>;
}

export interface CallSpec {
  name: string | ((body: Fields) => string);
  method: 'GET' | 'POST' | 'PUT';
  url: string;
  /** `headers`: merchant_id and merchant_key; `recharge`: the key is in the body or query, if present. */
  merchant: 'headers' | 'recharge';
  /**
   * Runs before any delay. Its `answer` replaces the call's answer; its `leave` runs at the end of
   * the call.
   */
  enter?: (call: Call) => { answer?: Answer; leave?: () => void };
  handle(call: Call): Promise<Answer> | Answer;
}

export function addCall(app: FastifyInstance, context: Context, spec: CallSpec): void {
  app.route({
    method: spec.method,
    url: spec.url,
    handler: (request, reply) => serve(context, spec, request, reply),
  });
}

async function serve(context: Context, spec: CallSpec, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const { world, plan } = context;
  const body = isFields(request.body) ? request.body : {};
  const name = typeof spec.name === 'string' ? spec.name : spec.name(body);
  const header = request.headers['x-simulator-fault'];
  const faults: Faults = new Map([...plan.takeFor(name), ...faultsInHeader(String(header ?? ''))]);
  const finish = (answer: Answer): Answer => {
    const code = findCode(answer.body);
    world.remember(world.calls, { call: name, status: answer.status, code, faults: [...faults.keys()] });
    return answer;
  };
  if (faults.has('closed-early')) {
    finish({ status: 0, body: {} });
    return cut(reply);
  }
  const owner = callerOf(context, spec.merchant, request, body);
  if (owner === undefined) return send(reply, faults, finish({ status: 401, body: { message: 'Unauthorized' } }));

  const query = request.query as Record<string, string>;
  const params = request.params as Record<string, string>;
  const { headers } = request;
  const call: Call = {
    name,
    owner,
    faults,
    params,
    query,
    body,
    headers,
    post: (...args) => post(context, call, ...args),
  };
  const { answer: early, leave } = spec.enter?.(call) ?? {};
  try {
    await paused(context, call, 'delay', 'hold');
    const answer = finish(early ?? (faults.has('error-500') ? { status: 500, body: {} } : await spec.handle(call)));
    await paused(context, call, 'delay-answer', 'hold-answer');
    return faults.has('closed-connection') ? cut(reply) : send(reply, faults, answer);
  } finally {
    leave?.();
  }
}

async function post(
  context: Context,
  call: Call,
  issued: Issued,
  fields: (id: string) => Record<string, string>,
): Promise<boolean> {
  const { world, events } = context;
  const { faults } = call;
  const target = context.stores.find((store) => store.key === call.owner)?.authenticityUrl ?? context.authenticityUrl;
  const once = async (id: string): Promise<boolean> => {
    const started = performance.now();
    const form = fields(id);
    if (faults.has('unknown-fields')) Object.assign(form, { campo_novo: 'ação & reação', versao: '9.9' });
    const charset = faults.has('odd-charset') ? (faults.get('odd-charset') ?? 'ISO-8859-1') : undefined;
    const slowMs = faults.has('slow-body') ? milliseconds(faults, 'slow-body', 200) : undefined;
    const status = await postForm(target, form, { timeoutMs: context.postTimeoutMs, charset, slowMs });
    const made = { by: call.name, fields: form, status, ms: performance.now() - started };
    world.remember(world.posts, made);
    events.emit('post', made);
    return status === 200;
  };
  if (faults.has('no-post')) return true;
  if (faults.has('post-after-answer')) {
    const later = sleep(milliseconds(faults, 'post-after-answer', 50)).then(() => once(issued.id));
    context.afterwards.add(later);
    void later.finally(() => context.afterwards.delete(later));
    return true;
  }
  let accepted = await once(issued.id);
  if (faults.has('double-post')) accepted = (await once(issued.id)) && accepted;
  if (faults.has('conflicting-post')) await once(randomBytes(32).toString('hex'));
  if (!accepted) issued.status = 'INV';
  return accepted;
}

/**
 * Returns the key of the caller; undefined if it is refused. A recharge call without a key acts for
 * the NIT's owner.
 */
function callerOf(
  context: Context,
  merchant: CallSpec['merchant'],
  request: FastifyRequest,
  body: Fields,
): string | undefined {
  if (merchant === 'headers') {
    const { merchant_id: id, merchant_key: key } = request.headers;
    if (typeof id !== 'string' || typeof key !== 'string' || !isName(id, 15) || !isName(key, 80)) return undefined;
    const known = context.stores.length === 0 || context.stores.some((store) => store.id === id && store.key === key);
    return known ? key : undefined;
  }
  const [content] = Object.values(body);
  const key = (isFields(content) ? content['merchant_key'] : undefined) ?? fieldOf(request.query, 'merchantkey');
  if (key === undefined) return '';
  if (typeof key !== 'string' || !isName(key, 80)) return undefined;
  return context.stores.length === 0 || context.stores.some((store) => store.key === key) ? key : undefined;
}

async function paused(context: Context, call: Call, delay: 'delay' | 'delay-answer', hold: 'hold' | 'hold-answer') {
  if (call.faults.has(delay)) await sleep(milliseconds(call.faults, delay, 200));
  if (!call.faults.has(hold)) return;
  await new Promise<void>((resolve) => {
    context.held.set(call.name, [...(context.held.get(call.name) ?? []), resolve]);
    context.events.emit('held', call.name);
  });
}

function send(reply: FastifyReply, faults: Faults, { status, body }: Answer): FastifyReply {
  const extra = faults.has('unknown-fields') ? { campo_novo: { versao: '9.9', itens: [1, null] } } : {};
  return reply.code(status).send({ ...body, ...extra });
}

function cut(reply: FastifyReply): FastifyReply {
  reply.hijack();
  reply.raw.destroy();
  return reply;
}

function milliseconds(
  faults: Faults,
  name: 'delay' | 'delay-answer' | 'post-after-answer' | 'slow-body',
  usual: number,
): number {
  const value = Number(faults.get(name) ?? usual);
  return Number.isFinite(value) && value >= 0 ? Math.min(value, 600_000) : usual;
}

function findCode(body: Record<string, unknown>): string | undefined {
  const [content] = Object.values(body);
  const inner = isFields(content) && isFields(content['esitef']) ? content['esitef']['code'] : undefined;
  const code = body['code'] ?? body['responseCode'] ?? body['response_code'] ?? inner;
  return code === undefined ? undefined : String(code);
}

function isName(text: string, length: number): boolean {
  return text.length > 0 && text.length <= length && /^[\x21-\x7e]+$/.test(text);
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fieldOf(value: unknown, name: string): unknown {
  return isFields(value) ? value[name] : undefined;
}
