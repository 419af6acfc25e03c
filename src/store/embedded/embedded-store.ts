/**
 * The embedded store: the ledger decides in memory, and every transition is on disk before it is
 * acknowledged. Changes during a write form the next batch, with one sync. While the disk fails,
 * the store works in memory and reports it, and it writes everything again once the disk is back.
 */
import { type Claim, type NewToken, type TokenQuery, topicsOf } from '../../token.ts';
import type {
  ClaimAnswer,
  ClaimRequest,
  Expectation,
  PutAnswer,
  ReadAnswer,
  SettleAnswer,
  StoreEvents,
  StoreHealth,
  TokenStore,
} from '../contract.ts';
import type { DurableLedger } from './durable-ledger.ts';

export class EmbeddedStore implements TokenStore {
  readonly #durable: DurableLedger;

  constructor(durable: DurableLedger) {
    this.#durable = durable;
  }

  /** @throws DirectoryInUse when another process uses the directory */
  open(events: StoreEvents): Promise<void> {
    return this.#durable.open(events);
  }

  async put(token: NewToken): Promise<PutAnswer> {
    const { ledger, disk, now } = this.#durable;
    const answer = ledger.put(token, now());
    // A known token may not be on disk yet. It must be there before the answer.
    const committed = disk.commit();
    // Readers see the token at once. Only its sender waits for the disk.
    if (answer === 'kept') this.#durable.announce(token.merchant, topicsOf(token));
    await committed;
    return answer;
  }

  async read(query: TokenQuery): Promise<ReadAnswer> {
    const { ledger, disk, now } = this.#durable;
    const answer = ledger.read(query, now());
    // `seen` only affects the orphan report, so it needs no synced write.
    disk.commitLater();
    return answer;
  }

  /** Hints of this store carry no arrivals: a read from memory costs nothing. */
  readArrival(): undefined {}

  async claim(request: ClaimRequest): Promise<ClaimAnswer> {
    const { ledger, disk, now } = this.#durable;
    const answer = ledger.claim(request, now());
    if (answer.state === 'held') await disk.commit();
    return answer;
  }

  async settle(merchant: string, claimId: string, how: 'use' | 'release'): Promise<SettleAnswer> {
    const { ledger, now } = this.#durable;
    const { answer, topics } = ledger.settle(merchant, claimId, how, now());
    await this.#commit(merchant, topics);
    return answer;
  }

  async undo(merchant: string, claim: Claim): Promise<boolean> {
    const { ledger, now } = this.#durable;
    const topics = ledger.undo(merchant, claim, now());
    await this.#commit(merchant, topics);
    return topics.length > 0;
  }

  async use(merchant: string, id: string): Promise<SettleAnswer> {
    const { ledger, disk, now } = this.#durable;
    const answer = ledger.use(merchant, id, now());
    await disk.commit();
    return answer;
  }

  async expect(expectation: Expectation): Promise<number> {
    const { ledger, disk, now } = this.#durable;
    const { expiresAt } = ledger.expectations.open(expectation, now());
    await disk.commit();
    return expiresAt;
  }

  async cancel(merchant: string, id: string): Promise<'done' | 'unknown'> {
    const { ledger, now } = this.#durable;
    const { answer, topics } = ledger.expectations.cancel(merchant, id, now());
    await this.#commit(merchant, topics);
    return answer;
  }

  async sequence(merchant: string): Promise<number> {
    return this.#durable.ledger.sequence(merchant);
  }

  health(): StoreHealth {
    const { failure } = this.#durable.disk;
    if (failure === undefined) return { kind: 'embedded', state: 'ok' };
    return { kind: 'embedded', state: 'degraded', detail: `kept in memory only: ${failure}` };
  }

  close(): Promise<void> {
    return this.#durable.close();
  }

  /** Writes all changes to disk, and then announces them. */
  async #commit(merchant: string, topics: string[]): Promise<void> {
    await this.#durable.disk.commit();
    if (topics.length > 0) this.#durable.announce(merchant, topics);
  }
}
