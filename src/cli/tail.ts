/**
 * `tail`: follows events, redacted by the service. Reconnects automatically and continues at its
 * last event.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { nearest } from '../config/nearest.ts';
import { type Arguments, type Command, EXIT, text, UsageError, WORKER_OPTIONS } from './command.ts';
import { readEvents, type StreamEvent } from './sse.ts';
import { type Console, plain } from './terminal.ts';
import { workerKey, workerUrl } from './worker.ts';

const RETRY_MS = 1000;
const EVENTS = ['post', 'handover', 'settled', 'lease_lost', 'expectation', 'no_show', 'orphan', 'door', 'trouble'];
const KINDS = ['seid', 'nit', 'token'];

export const tail: Command = {
  name: 'tail',
  summary: 'Follow what happens: posts, handovers, no-shows. Never shows a token.',
  options: {
    event: { type: 'string', value: 'NAMES', help: 'Only these, separated by commas: post, handover, settled, …' },
    kind: { type: 'string', value: 'KIND', help: 'Only of this kind.' },
    since: { type: 'string', value: 'ID', help: 'Begin after this event, if it is kept.' },
    count: { type: 'string', value: 'N', help: 'End after N events.' },
    ...WORKER_OPTIONS,
  },
  async run(args, terminal) {
    const count = Number(text(args, 'count') ?? Number.POSITIVE_INFINITY);
    if (!(count >= 1)) throw new UsageError('--count: expected a number of 1 or more');
    const names = text(args, 'event')?.split(',');
    for (const name of names ?? []) check('event', name, EVENTS);
    const kind = text(args, 'kind');
    if (kind !== undefined) check('kind', kind, KINDS);
    let [shown, lastId, connected] = [0, text(args, 'since'), false];
    while (!terminal.signal.aborted) {
      try {
        const events = await follow(args, terminal, lastId);
        connected = true;
        for await (const event of events) {
          if (event.id !== undefined) lastId = event.id;
          const isNote = event.id === undefined;
          if (!isNote && names !== undefined && !names.includes(event.name)) continue;
          if (!isNote && kind !== undefined && event.data['kind'] !== kind) continue;
          show(event, args, terminal);
          shown += isNote ? 0 : 1;
          if (shown >= count) return EXIT.ok;
        }
      } catch (error) {
        if (terminal.signal.aborted) break;
        if (!connected || (error as { final?: boolean }).final) throw error;
      }
      await delay(RETRY_MS, undefined, { signal: terminal.signal }).catch(() => undefined);
    }
    return EXIT.interrupted;
  },
};

function check(option: string, given: string, known: readonly string[]): void {
  if (known.includes(given)) return;
  const close = nearest(given, known);
  const meant = close === undefined ? '' : `; did you mean ${close}?`;
  throw new UsageError(`--${option}: expected ${known.join(', ')}, got "${given}"${meant}`);
}

async function follow(args: Arguments, terminal: Console, lastId: string | undefined) {
  const { createWorkerClient, WorkerError } = await import('../client/index.ts');
  const url = workerUrl(args, terminal);
  // The same checks of the address as for all commands.
  createWorkerClient({ url });
  const merchant = text(args, 'merchant');
  const key = workerKey(args, terminal);
  const search = merchant === undefined ? '' : `?${new URLSearchParams({ merchant })}`;
  const response = await fetch(`${url.replace(/\/+$/, '')}/v1/events${search}`, {
    headers: {
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(lastId === undefined ? {} : { 'last-event-id': lastId }),
    },
    signal: terminal.signal,
  }).catch(() => {
    throw new WorkerError('unreachable', 'tail: the service cannot be reached');
  });
  if (response.status === 200 && response.body !== null) return readEvents(response.body);
  const { code, detail } = (await response.json().catch(() => ({}))) as { code?: string; detail?: string };
  const known =
    code === 'unauthorized' || code === 'forbidden' || code === 'invalid_request' ? code : 'unexpected_answer';
  const error = new WorkerError(
    known,
    `tail: ${code ?? response.status}: ${detail ?? 'not an answer of the worker API'}`,
  );
  throw Object.assign(error, { final: response.status < 500 });
}

function show({ id, name, data }: StreamEvent, args: Arguments, { out, paint }: Console): void {
  if (args.values['json'] === true) {
    out(JSON.stringify({ id, event: name, ...data }));
    return;
  }
  const { at, ...facts } = data;
  const time = typeof at === 'string' ? at.slice(11, 23) : '            ';
  const words = Object.entries(facts).map(([fact, value]) => `${paint('dim', `${fact}=`)}${plain(String(value))}`);
  const bad = ['no_show', 'orphan', 'trouble'].includes(name) || facts['outcome'] === 'unusable';
  out(`${paint('dim', time)} ${paint(bad ? 'yellow' : 'bold', name.padEnd(11))} ${words.join(' ')}`);
}
