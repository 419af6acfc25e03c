/**
 * The embedded store: all decisions in memory (the ledger), every transition on disk (LevelDB) before it is
 * acknowledged. Changes that come while a batch is being written go together into the next one, with one sync for all.
 * When the disk fails, the store goes on in memory, says so, and writes everything again once the disk is back.
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
import { ProcessClock } from './clock.ts';
import { Disk } from './disk.ts';
import { Ledger, type LedgerOptions } from './ledger.ts';
import type { Change } from './records.ts';

export interface EmbeddedOptions extends LedgerOptions {
  /** The directory that this process, and no other, keeps its tokens in. */
  directory: string;
}

const SWEEP_EVERY_MS = 500;

export class EmbeddedStore implements TokenStore {
  protected readonly ledger: Ledger;
  protected readonly disk: Disk;
  readonly #clock = new ProcessClock();
  /** Whole milliseconds since 1970. */
  protected readonly clock = this.#clock.now;
  #events: StoreEvents | undefined;
  #sweeper: NodeJS.Timeout | undefined;

  constructor({ directory, ...options }: EmbeddedOptions) {
    this.ledger = new Ledger(options);
    this.disk = new Disk(directory, this.ledger, this.clock);
  }

  /** @throws DirectoryInUse when another process has the directory. */
  async open(events: StoreEvents): Promise<void> {
    this.#events = events;
    await this.disk.open(
      (notice) => events.onNotice(notice),
      (records) => this.restored(records),
    );
    this.sweep();
    this.#sweeper = setInterval(() => this.sweep(), SWEEP_EVERY_MS);
  }

  async put(token: NewToken): Promise<PutAnswer> {
    const answer = this.ledger.put(token, this.clock());
    // A known token may be on its way to disk: it is answered when it is there.
    const committed = this.disk.commit();
    // Readers see it from now on; only its sender waits for the disk.
    if (answer === 'kept') this.announce(token.merchant, topicsOf(token));
    await committed;
    return answer;
  }

  async read(query: TokenQuery): Promise<ReadAnswer> {
    // That a token was seen matters to no more than the news that nobody came for it.
    const answer = this.ledger.read(query, this.clock());
    this.disk.commitLater();
    return answer;
  }

  async claim(request: ClaimRequest): Promise<ClaimAnswer> {
    const answer = this.ledger.claim(request, this.clock());
    if (answer.state === 'held') await this.disk.commit();
    return answer;
  }

  async settle(merchant: string, claimId: string, how: 'use' | 'release'): Promise<SettleAnswer> {
    const answer = this.ledger.claims.settle(merchant, claimId, how, this.clock());
    await this.disk.commit();
    if (answer === 'done' && how === 'release') this.announce(merchant, this.ledger.topicsOfClaim(merchant, claimId));
    return answer;
  }

  async undo(merchant: string, claim: Claim): Promise<boolean> {
    const topics = this.ledger.claims.undo(merchant, claim, this.clock());
    await this.disk.commit();
    if (topics.length > 0) this.announce(merchant, topics);
    return topics.length > 0;
  }

  async use(merchant: string, id: string): Promise<SettleAnswer> {
    const answer = this.ledger.use(merchant, id, this.clock());
    await this.disk.commit();
    return answer;
  }

  async expect(expectation: Expectation): Promise<number> {
    const { expiresAt } = this.ledger.expectations.open(expectation, this.clock());
    await this.disk.commit();
    return expiresAt;
  }

  async cancel(merchant: string, id: string): Promise<'done' | 'unknown'> {
    const { answer, topic } = this.ledger.expectations.cancel(merchant, id, this.clock());
    await this.disk.commit();
    if (topic !== undefined) this.announce(merchant, [topic]);
    return answer;
  }

  async sequence(merchant: string): Promise<number> {
    return this.ledger.sequence(merchant);
  }

  health(): StoreHealth {
    const failure = this.disk.failure;
    if (failure === undefined) return { kind: 'embedded', state: 'ok' };
    return { kind: 'embedded', state: 'degraded', detail: `kept in memory only: ${failure}` };
  }

  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    await this.disk.close();
  }

  protected announce(merchant: string, topics: string[]): void {
    this.#events?.onHint(this.ledger.announce(merchant, topics));
  }

  /** The directory could not be read at the start, and was loaded now. */
  protected restored(_records: readonly Change[]): void {
    this.#events?.onGap();
  }

  /** Forgets what is over, and tells of it. */
  protected sweep(): void {
    this.#followClock();
    for (const expiry of this.ledger.sweep(this.clock())) this.#events?.onExpiry(expiry);
    this.disk.commitLater();
  }

  /** If the wall clock was set, all times move with it. How long a token or a lease still lasts does not change. */
  #followClock(): void {
    const stepMs = this.#clock.adjust();
    if (stepMs === 0) return;
    this.ledger.shift(stepMs);
    const message = 'the clock of this machine was set; tokens and leases last as long as before';
    const facts = { seconds: Math.round(stepMs / 1000) };
    this.#events?.onNotice({ level: 'warn', code: 'clock_step', message, facts });
  }
}
