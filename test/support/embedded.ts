/** An embedded store in its own directory. A test may close, damage and reopen it. */
import { join } from 'node:path';
import type { ClaimAnswer } from '../../src/store/contract.ts';
import { DurableLedger } from '../../src/store/embedded/durable-ledger.ts';
import { EmbeddedStore } from '../../src/store/embedded/embedded-store.ts';
import type { Notice } from '../../src/store/notice.ts';
import { type NewToken, type TokenQuery, tokenId } from '../../src/token.ts';
import { GuardedFolder } from './guarded-folder.ts';

export const M = 'default';

export class EmbeddedBench {
  readonly directory: string;
  readonly troubles: Notice[] = [];
  store: EmbeddedStore;
  readonly #folder: GuardedFolder;
  #options = { ttlMs: 600_000, accept: 'any' as 'any' | 'expected', maxUnexpected: 100 };
  readonly #opened: EmbeddedStore[] = [];

  private constructor(folder: GuardedFolder) {
    this.#folder = folder;
    this.directory = join(folder.path, 'data', 'tokens');
    this.store = this.make();
  }

  static async make(): Promise<EmbeddedBench> {
    return new EmbeddedBench(await GuardedFolder.make('embedded-'));
  }

  async remove(): Promise<void> {
    for (const store of this.#opened.splice(0)) await store.close();
    await this.#folder.remove();
  }

  /** From the next `open` on, accepts only expected tokens, and keeps up to this many others. */
  acceptExpected(maxUnexpected: number): void {
    this.#options = { ...this.#options, accept: 'expected', maxUnexpected };
    this.store = this.make();
  }

  make(): EmbeddedStore {
    return new EmbeddedStore(new DurableLedger({ directory: this.directory, ...this.#options }));
  }

  async open(store = this.store): Promise<void> {
    await store.open({
      onHint: () => {},
      onGap: () => {},
      onExpiry: () => {},
      onNotice: (trouble) => this.troubles.push(trouble),
    });
    this.#opened.push(store);
  }

  async close(): Promise<void> {
    for (const store of this.#opened.splice(0)) await store.close();
    this.store = this.make();
  }

  async reopen(): Promise<void> {
    await this.close();
    await this.open();
  }

  token(name: string, pooled = false): NewToken {
    const correlators = pooled ? {} : { sid: name };
    return { id: tokenId(M, 'token', name), merchant: M, kind: 'token', value: name, correlators, pooled };
  }

  under(is: string): TokenQuery {
    return { merchant: M, by: 'sid', is };
  }

  async state(name: string): Promise<string> {
    return (await this.store.read(this.under(name))).state;
  }

  claim(claimId: string, query: TokenQuery = { merchant: M, by: 'pool', kind: 'token' }): Promise<ClaimAnswer> {
    return this.store.claim({ merchant: M, claimId, leaseMs: 60_000, query, refuseConflict: false });
  }

  told(code: string): Notice | undefined {
    return this.troubles.find((trouble) => trouble.code === code);
  }
}

export function names(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `t${at}`);
}
