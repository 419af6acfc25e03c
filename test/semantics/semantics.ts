/**
 * Executes the table of `docs/semantics.md` row by row, against a real service over HTTP. The table
 * has the keys, the kinds and the answer of a row. The test with the row's name executes it.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { scaled } from '../support/time-scale.ts';
import { absences, browsers, conflicts, crowds, keys, lifetimes, silences, stops } from './circumstances.ts';
import { claims, pool } from './claims.ts';
import { posts, strangers, verdicts } from './posts.ts';
import { reads } from './reads.ts';
import { expectations, renewals, settling } from './settling.ts';
import { readTable, type TableRow } from './table.ts';
import { type Row, type Setting, Trial, type World } from './trial.ts';
import { type Playing, play } from './world.ts';

export const TABLE = readTable('docs/semantics.md');
export const SETTINGS: Setting[] = [
  {
    name: 'as it is',
    rows: { ...posts, ...reads, ...claims, ...pool, ...renewals, ...settling, ...expectations, ...browsers },
  },
  { name: 'a sender not let in', env: { ALLOWED_SOURCES: '192.0.2.0/24' }, rows: strangers },
  { name: 'ACCEPT=expected', env: { ACCEPT: 'expected' }, rows: verdicts },
  { name: 'ON_CONFLICT=refuse', env: { ON_CONFLICT: 'refuse' }, rows: conflicts },
  { name: 'a short life', env: { TOKEN_TTL_SECONDS: String(Math.ceil(scaled(4000) / 1000)) }, rows: lifetimes },
  { name: 'keys', env: { WORKER_API_KEYS: 'a-key-for-all-of-them,default:a-key-limited-to-one' }, rows: keys },
  { name: 'full', env: { MAX_WAITERS: '1' }, own: true, rows: crowds },
  { name: 'stopping', own: true, rows: stops },
  { name: 'Redis away', own: true, redisOnly: true, rows: absences },
  { name: 'Redis silent', own: true, redisOnly: true, impatient: true, rows: silences },
];

/** Each row has its own merchant, so rows do not share tokens or waits. */
const merchantOf = ({ id }: TableRow): string => id.replace('.', '-');

function envOf(setting: Setting, rows: readonly TableRow[]): Record<string, string> {
  const merchants = ['default', ...new Set(rows.map(merchantOf))];
  return { AUTHENTICITY_PATHS: merchants.map((merchant) => `${merchant}=/${merchant}`).join(','), ...setting.env };
}

/** Executes a row for each of its keys and kinds. */
async function tryRow(row: TableRow, test: Row, world: World): Promise<void> {
  for (const key of row.keys) {
    for (const kind of row.kinds) {
      const { status, code } = await test(new Trial(world, { merchant: merchantOf(row), kind, key }));
      expect({ key, kind, status, code }).toEqual({ key, kind, status: row.status, code: row.code });
    }
  }
}

/** Executes every row on a store. */
export function describeSemantics(store: 'embedded' | 'Redis'): void {
  describe.each(SETTINGS.filter(({ redisOnly }) => store === 'Redis' || !redisOnly))(
    `on ${store}: $name`,
    (setting) => {
      const rows = TABLE.filter(({ id }) => id in setting.rows);
      const env = envOf(setting, rows);
      const { impatient } = setting;
      let redis: RedisServer | undefined;
      let playing: Playing | undefined;
      beforeAll(async () => {
        if (setting.own) return;
        if (store === 'Redis') redis = await startRedis();
        playing = await play({ env, redisUrl: redis?.url });
      });
      afterAll(async () => {
        await playing?.stop();
        await redis?.stop();
      });

      it.concurrent.each(rows.map((row) => [row.id, row] as const))('%s', async (id, row) => {
        const test = setting.rows[id] as Row;
        if (playing !== undefined) return tryRow(row, test, { running: playing.running });
        const own = store === 'Redis' ? await startRedis() : undefined;
        const one = await play({ env, redisUrl: own?.url, impatient });
        const other = own && (await play({ env, redisUrl: own.url, impatient }));
        try {
          await tryRow(row, test, { running: one.running, other: other?.running, redis: own });
        } finally {
          await one.stop();
          await other?.stop();
          await own?.stop();
        }
      });
    },
  );
}
