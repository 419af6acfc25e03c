/** The simulated Carat's state: transactions with Carat's statuses, expiry, and the history. In memory. */
import { randomBytes } from 'node:crypto';

/** An issued identifier: `NOV` for a limited time, then used or expired. */
export interface Issued {
  /** The SID, SEID, NIT or token. */
  id: string;
  /** The key of the owning store; never shown. */
  owner: string;
  /** Carat's status; a used token is `CON` here. */
  status: string;
  expiresAt: number;
}
export interface Schedule extends Issued {
  amount: string;
  nextDate: string;
  numberOfTimes: string;
  currentTimes: string;
  installments: string;
  installmentType: string;
  softDescriptor: string;
}
export interface Payment extends Issued {
  amount: string;
  orderId: string;
  merchantUsn: string;
  esitefUsn: string;
  late: boolean;
  sid: string | undefined;
}
export interface Edit extends Issued {
  sid: string;
}
export interface Recharge extends Issued {
  type: string;
  merchantUsn: string;
  orderId: string;
  amount: string;
  payment: { status: string } | undefined;
}
export interface Token extends Issued {
  service: 'token' | 'merchants';
}
export interface Cancellation extends Issued {
  esitefUsn: string;
}

export interface PostMade {
  /** The name of the call that made the post, or `notification`. */
  by: string;
  fields: Record<string, string>;
  /** The HTTP status of the answer; 0 without an answer. */
  status: number;
  ms: number;
}
export interface CallSeen {
  call: string;
  status: number;
  code: string | undefined;
  faults: string[];
}

/** Limit of remembered calls and posts. */
const MEMORY = 500;

export class World {
  readonly schedules = new Map<string, Schedule>();
  readonly payments = new Map<string, Payment>();
  readonly edits = new Map<string, Edit>();
  readonly recharges = new Map<string, Recharge>();
  readonly tokens = new Map<string, Token>();
  readonly cancellations = new Map<string, Cancellation>();
  readonly posts: PostMade[] = [];
  readonly calls: CallSeen[] = [];
  /** Terminals with a pending operation. */
  readonly terminals = new Set<string>();
  /** Number of times that two requests used a terminal at once. */
  terminalClashes = 0;

  readonly #expiryMs: number;
  #usn = 0;

  constructor(expiryMs: number) {
    this.#expiryMs = expiryMs;
  }

  /** Returns a fresh identifier of 64 letters and digits, with status `NOV`. */
  issue(owner: string, expired: boolean): Issued {
    const id = randomBytes(32).toString('hex');
    return { id, owner, status: 'NOV', expiresAt: expired ? 0 : Date.now() + this.#expiryMs };
  }

  /** Returns a number in Carat's form: 15 digits. */
  nextUsn(): string {
    this.#usn += 1;
    return `260101${String(this.#usn).padStart(9, '0')}`;
  }

  /**
   * Finds an identifier for its owner. Another store's identifier counts as unknown. Expired ones
   * become `EXP`.
   */
  find<T extends Issued>(among: Map<string, T>, id: string, owner?: string): T | undefined {
    const found = among.get(id);
    if (found === undefined || (owner !== undefined && found.owner !== owner)) return undefined;
    if (found.status === 'NOV' && found.expiresAt <= Date.now()) found.status = 'EXP';
    return found;
  }

  remember<T>(list: T[], item: T): void {
    list.push(item);
    if (list.length > MEMORY) list.shift();
  }

  /** Expires everything that is still `NOV`. */
  expireAll(): void {
    for (const among of [this.schedules, this.payments, this.edits, this.recharges, this.tokens, this.cancellations]) {
      for (const issued of among.values()) if (issued.status === 'NOV') issued.expiresAt = 0;
    }
  }

  /** Returns the whole state except the keys of the stores. */
  shown(): Record<string, unknown> {
    const all = <T extends Issued>(among: Map<string, T>) =>
      [...among.keys()].map((id) => {
        const { owner: _, ...rest } = this.find(among, id) as T;
        return rest;
      });
    return {
      schedules: all(this.schedules),
      payments: all(this.payments),
      edits: all(this.edits),
      recharges: all(this.recharges),
      tokens: all(this.tokens),
      cancellations: all(this.cancellations),
      posts: this.posts,
      calls: this.calls,
      terminalClashes: this.terminalClashes,
    };
  }
}
