/** Sealed values: nothing in clear at rest, rotation, unknown keys, and the same contract as any store. */
import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StoreEvents, TokenStore } from '../../src/store/contract.ts';
import { DurableLedger } from '../../src/store/embedded/durable-ledger.ts';
import { EmbeddedStore } from '../../src/store/embedded/embedded-store.ts';
import { EncryptedStore, SealError, ValueCipher } from '../../src/store/encrypted.ts';
import type { Notice } from '../../src/store/notice.ts';
import { type NewToken, tokenId } from '../../src/token.ts';
import { GuardedFolder } from '../support/guarded-folder.ts';
import { describeStoreContract } from './contract.ts';

const [OLD, NEW] = [randomBytes(32), randomBytes(32)];
const VALUE = 'qwertyuiopasdfghjklzxcvbnm0123456789qwertyuiopasdfghjklzxcvbnm02';

// It changes only values, and forwards all other calls.
describeStoreContract(
  'a sealed store',
  {
    instances: 1,
    async setup({ merchants: _, ...options }) {
      const folder = await GuardedFolder.make('sealed-');
      return {
        async open(events) {
          const inner = new EmbeddedStore(new DurableLedger({ directory: join(folder.path, 'tokens'), ...options }));
          const store = new EncryptedStore(inner, new ValueCipher([NEW]));
          await store.open(events);
          return store;
        },
        remove: () => folder.remove(),
      };
    },
  },
  ['tokens', 'claims', 'settling', 'hints'],
);

let folder: GuardedFolder;
let store: TokenStore | undefined;
let troubles: Notice[];
async function open(...keys: Buffer[]): Promise<TokenStore> {
  await store?.close();
  const options = { ttlMs: 60_000, accept: 'any', maxUnexpected: 10 } as const;
  const cipher = new ValueCipher(keys);
  const { openable } = cipher;
  const inner = new EmbeddedStore(new DurableLedger({ directory: join(folder.path, 'tokens'), ...options, openable }));
  store = new EncryptedStore(inner, cipher);
  const events: StoreEvents = {
    onHint() {},
    onGap() {},
    onExpiry() {},
    onNotice: (trouble) => troubles.push(trouble),
  };
  await store.open(events);
  return store;
}

function token(value: string, fields: Partial<NewToken> = {}): NewToken {
  return {
    id: tokenId('m', 'token', value),
    merchant: 'm',
    kind: 'token',
    value,
    correlators: {},
    pooled: true,
    ...fields,
  };
}

const pool = { merchant: 'm', by: 'pool', kind: 'token' } as const;
const take = (from: TokenStore, claimId: string) =>
  from.claim({ merchant: 'm', claimId, leaseMs: 60_000, refuseConflict: false, query: pool });

describe('values at rest', () => {
  beforeEach(async () => {
    folder = await GuardedFolder.make('sealed-');
    troubles = [];
  });
  afterEach(async () => {
    await store?.close();
    await folder.remove();
  });

  it('are never in clear on disk', async () => {
    const sealed = await open(NEW);
    await sealed.put(token(VALUE));
    expect(await take(sealed, 'c1')).toMatchObject({ state: 'held', token: { value: VALUE } });
    await sealed.close();
    store = undefined;
    const files = await readdir(join(folder.path, 'tokens'));
    const bytes = await Promise.all(files.map((file) => readFile(join(folder.path, 'tokens', file), 'latin1')));
    expect(bytes.join('')).toContain('sealed ');
    expect(bytes.join('')).not.toContain(VALUE);
  });

  it('open with an older key, and without one if they were stored before there were keys', async () => {
    await (await open()).put(token('plain'));
    await (await open(OLD)).put(token('old'));
    const sealed = await open(NEW, OLD);
    await sealed.put(token('new'));
    const values = [];
    for (const id of ['c1', 'c2', 'c3']) values.push(await take(sealed, id));
    expect(values).toMatchObject(['plain', 'old', 'new'].map((value) => ({ state: 'held', token: { value } })));
  });

  it('are skipped without their key, which is reported once, and handed out when the key is configured', async () => {
    const old = await open(OLD);
    await old.put(token('first'));
    await old.put(token('under x', { id: '1', correlators: { sid: 'x' }, pooled: false }));
    const other = await open(NEW);
    await other.put(token('second'));
    expect(await take(other, 'c1')).toMatchObject({ state: 'held', token: { value: 'second' } });
    expect(await take(other, 'c2')).toMatchObject({ state: 'none' });
    const bySid = { merchant: 'm', by: 'sid', is: 'x' } as const;
    expect(await other.read(bySid)).toMatchObject({ state: 'none' });
    await other.put(token('also under x', { id: '2', correlators: { sid: 'x' }, pooled: false }));
    expect(await other.read(bySid)).toMatchObject({ state: 'live', token: { value: 'also under x' }, distinct: 2 });
    expect(troubles.map(({ code }) => code)).toEqual(['sealed_with_unknown_key']);
    expect(JSON.stringify(troubles)).not.toContain('first');

    const both = await open(NEW, OLD);
    expect(await take(both, 'c3')).toMatchObject({
      state: 'held',
      token: { value: 'first' },
      claim: { deliveries: 1 },
    });
    expect(await both.read(bySid)).toMatchObject({ state: 'live', distinct: 2 });
  });

  it('are not handed out sealed when no key is configured any more', async () => {
    await (await open(OLD)).put(token('sealed'));
    const plain = await open();
    await plain.put(token('clear'));
    expect(await take(plain, 'c1')).toMatchObject({ state: 'held', token: { value: 'clear' } });
    expect(await take(plain, 'c2')).toMatchObject({ state: 'none' });
  });

  it('with another key stay unused, and their claims are not renewed', async () => {
    const old = await open(OLD);
    await old.put(token('held'));
    await take(old, 'c1');
    const other = await open(NEW);
    await other.put(token('free'));
    expect(await take(other, 'c1')).toEqual({ state: 'none', away: true });
    const again = await open(OLD);
    expect(await take(again, 'c1')).toMatchObject({ state: 'held', token: { value: 'held' } });
  });
});

it('a sealed value is bound to its merchant and token', () => {
  const vault = new ValueCipher([NEW]);
  const sealed = vault.seal(VALUE, 'm', 'id');
  expect(vault.open(sealed, 'm', 'id')).toBe(VALUE);
  for (const [value, merchant, id] of [
    [sealed, 'other', 'id'],
    [sealed, 'm', 'other'],
    [`${sealed.slice(0, -4)}AAAA`, 'm', 'id'],
    [sealed.slice(0, 30), 'm', 'id'],
  ] as const) {
    expect(() => vault.open(value, merchant, id)).toThrow(SealError);
  }
});
