/**
 * What a prober can learn from the answers: nothing by their bytes, and nothing by their time. Posts of every sort are
 * sent in random order over one connection; of two sorts it is asked how often an answer of the one takes longer than an
 * answer of the other. Half of the time is what two of the same sort give; all or none of the time is an oracle. The
 * service is a process of its own, as it is for a prober: what it does after an answer must not count.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { OK } from '../listeners/authenticity/ok.ts';
import { GuardedFolder } from '../support/guarded-folder.ts';
import { rawRequest, undated } from '../support/raw-http.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { ServiceProcess } from '../support/service-process.ts';
import { Api } from '../support/worker-api.ts';

/** Of each sort; the environment may ask for more. */
const SAMPLES = Number(process.env['ORACLE_SAMPLES'] ?? 1000);
const WARM_UP = 100;
/** How far from one half a share may be. Where the decision was feigned and not made, it was 0.3; before the commit, 0.45. */
const TOLERANCE = 0.2;

const ALLOWED: [string, string] = ['X-Forwarded-For', '192.0.2.1'];
const NOT_ALLOWED: [string, string] = ['X-Forwarded-For', '192.0.3.1'];
const value = (): string => randomBytes(32).toString('hex');
const REPLAYED = value();

let keys: string[] = [];
/** Each makes a post of the same length. */
const SORTS: Record<string, () => Buffer> = {
  kept: () => rawRequest({ headers: [ALLOWED], body: `seid=${value()}&sid=${keys.pop()}` }),
  unexpected: () => rawRequest({ headers: [ALLOWED], body: `seid=${value()}&sid=${value().slice(0, 36)}` }),
  known: () => rawRequest({ headers: [ALLOWED], body: `seid=${REPLAYED}&sid=${'x'.repeat(36)}` }),
  'not allowed': () => rawRequest({ headers: [NOT_ALLOWED], body: `seid=${value()}&sid=${value().slice(0, 36)}` }),
  unusable: () => rawRequest({ headers: [ALLOWED], body: `xxxx=${value()}&sid=${value().slice(0, 36)}` }),
};

let folder: GuardedFolder;
let service: ServiceProcess | undefined;
let redis: RedisServer | undefined;
afterEach(async () => {
  await service?.kill();
  await redis?.stop();
  await folder.remove();
  [service, redis] = [undefined, undefined];
});

test.each(['embedded', 'redis'])('no sort of post is told from another (%s)', async (store) => {
  folder = await GuardedFolder.make('oracle-');
  redis = store === 'redis' ? await startRedis({ config: { appendfsync: 'no' } }) : undefined;
  const env = {
    ACCEPT: 'expected',
    ALLOWED_SOURCES: '192.0.2.0/24',
    TRUSTED_PROXIES: '127.0.0.1',
    DATA_DIR: join(folder.path, 'data'),
    ...(redis === undefined ? {} : { STORE_URL: redis.url }),
  };
  service = await ServiceProcess.start({ env });
  const samples = redis === undefined ? SAMPLES : Math.ceil(SAMPLES / 2);
  keys = Array.from({ length: samples + WARM_UP + 1 }, () => value().slice(0, 36));
  const api = new Api({ authenticityUrl: '', workerUrl: service.workerUrl });
  for (let at = 0; at < keys.length; at += 100) {
    const announced = keys.slice(at, at + 100).map((sid) => api.expect({ kind: 'seid', sid, ttl: 3600 }));
    for (const { status } of await Promise.all(announced)) expect(status).toBe(201);
  }

  const socket = connect(service.authenticityPort, '127.0.0.1').setNoDelay(true);
  await once(socket, 'connect');
  const times: Record<string, number[]> = Object.fromEntries(Object.keys(SORTS).map((sort) => [sort, []]));
  for (const sort of order(samples + WARM_UP)) {
    const request = (SORTS[sort] as () => Buffer)();
    times[sort]?.push(await timed(socket, request));
  }
  socket.destroy();

  const measured = Object.entries(times).map(([sort, all]) => [sort, all.slice(WARM_UP)] as const);
  const shares: Record<string, number> = {};
  for (const [at, [sort, mine]] of measured.entries()) {
    for (const [other, theirs] of measured.slice(at + 1)) shares[`${sort} over ${other}`] = shareOver(mine, theirs);
  }
  const medians = Object.fromEntries(measured.map(([sort, all]) => [sort, median(all).toFixed(3)]));
  if (process.env['ORACLE_SAMPLES'] !== undefined)
    process.stdout.write(`${JSON.stringify({ store, samples, medians, shares })}\n`);
  for (const [pair, share] of Object.entries(shares)) {
    const told = `${pair}: ${share.toFixed(3)}, medians in ms ${JSON.stringify(medians)}`;
    expect(Math.abs(share - 0.5), told).toBeLessThan(TOLERANCE);
  }
});

/** Each sort equally often, shuffled. */
function order(each: number): string[] {
  const all = Object.keys(SORTS).flatMap((sort) => Array<string>(each).fill(sort));
  for (let at = all.length - 1; at > 0; at -= 1) {
    const other = randomInt(at + 1);
    [all[at], all[other]] = [all[other] as string, all[at] as string];
  }
  return all;
}

/** Sends a post, and answers how many milliseconds its answer took. The answer's bytes are always the same. */
function timed(socket: Socket, request: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    let received = '';
    const begun = performance.now();
    socket.on('data', function more(bytes: Buffer) {
      received += bytes.toString('latin1');
      if (!received.endsWith('OK') || !received.includes('\r\n\r\n')) return;
      const took = performance.now() - begun;
      socket.off('data', more);
      if (undated(received) === OK) resolve(took);
      else reject(new Error(`expected ${JSON.stringify(OK)}, got ${JSON.stringify(received)}`));
    });
    socket.write(request);
  });
}

/** How often one of the first takes longer than one of the second; ties count half. */
function shareOver(first: readonly number[], second: readonly number[]): number {
  const sorted = [...second].sort((a, b) => a - b);
  let over = 0;
  for (const one of first) over += (below(sorted, one, false) + below(sorted, one, true)) / 2;
  return over / (first.length * second.length);
}

/** How many of a sorted list are below a number, or not above it. */
function below(sorted: readonly number[], number: number, orEqual: boolean): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const at = sorted[middle] as number;
    if (at < number || (orEqual && at === number)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function median(all: readonly number[]): number {
  return [...all].sort((a, b) => a - b)[all.length >> 1] ?? Number.NaN;
}
