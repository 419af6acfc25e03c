/** Sealed values: nothing in clear at rest, rotation, unknown keys, and the same contract as any store. */
import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StoreEvents, TokenStore } from '../../src/store/contract.ts';
import { EmbeddedStore } from '../../src/store/embedded/embedded-store.ts';
import { EncryptedStore, SealError, ValueCipher } from '../../src/store/encrypted.ts';
import type { Notice } from '../../src/store/notice.ts';
import { type NewToken, tokenId } from '../../src/token.ts';
import { GuardedFolder } from '../support/guarded-folder.ts';
import { describeStoreContract } from './contract.ts';

const [OLD, NEW] = [randomBytes(32), randomBytes(32)];
const VALUE = 'qwertyuiopasdfghjklzxcvbnm0123456789qwertyuiopasdfghjklzxcvbnm02';

describeStoreContract('a sealed store', {
  instances: 1,
  async setup({ merchants: _, ...options }) {
    const folder = await GuardedFolder.make('sealed-');
    return {
      async open(events) {
        const inner = new EmbeddedStore({ directory: join(folder.path, 'tokens'), ...options });
        const store = new EncryptedStore(inner, new ValueCipher([NEW]));
        await store.open(events);
        return store;
      },
      remove: () => folder.remove(),
    };
  },
});

let folder: GuardedFolder;
let store: TokenStore | undefined;
let troubles: Notice[];
async function open(...keys: Buffer[]): Promise<TokenStore> {
  await store?.close();
  const options = { ttlMs: 60_000, accept: 'any', maxUnexpected: 10 } as const;
  const inner = new EmbeddedStore({ directory: join(folder.path, 'tokens'), ...options });
  store = keys.length === 0 ? inner : new EncryptedStore(inner, new ValueCipher(keys));
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
  return { id: tokenId('m', 'token', value), merchant: 'm', kind: 'token', value, pooled: true, ...fields };
}

const pool = { merchant: 'm', by: 'pool', kind: 'token' } as const;
const take = (from: TokenStore, claimId: string) =>
  from.claim({ merchant: 'm', claimId, leaseMs: 60_000, refuseConflict: false, query: pool });

describe('what is sealed at rest', () => {
  beforeEach(async () => {
    folder = await GuardedFolder.make('sealed-');
    troubles = [];
  });
  afterEach(async () => {
    await store?.close();
    await folder.remove();
  });

  it('keeps no value in clear on disk', async () => {
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

  it('opens what an older key sealed, and what was kept before there were keys', async () => {
    await (await open()).put(token('plain'));
    await (await open(OLD)).put(token('old'));
    const sealed = await open(NEW, OLD);
    await sealed.put(token('new'));
    const values = [];
    for (const id of ['c1', 'c2', 'c3']) values.push(await take(sealed, id));
    expect(values).toMatchObject(['plain', 'old', 'new'].map((value) => ({ state: 'held', token: { value } })));
  });

  it('names the key that is not known any more, and hands out the tokens behind it', async () => {
    const old = await open(OLD);
    await old.put(token('lost'));
    await old.put(token('lost, too', { id: '1', sid: 'x', pooled: false }));
    const sealed = await open(NEW);
    await sealed.put(token('found'));
    expect(await take(sealed, 'c1')).toMatchObject({ state: 'held', token: { value: 'found' } });
    expect(await sealed.read({ merchant: 'm', by: 'sid', is: 'x' })).toEqual({ state: 'none' });
    expect(troubles.map(({ code }) => code)).toEqual(['seal_unknown_key', 'seal_unknown_key']);
    expect(JSON.stringify(troubles)).not.toContain('lost');
  });
});

it('binds a value to its merchant and token', () => {
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
