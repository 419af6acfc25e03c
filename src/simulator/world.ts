/** What the simulated Carat knows: transactions with Carat's statuses, when they expire, and what happened. In memory. */
import { randomBytes } from 'node:crypto';

/** Something that was issued, lives for a while as `NOV`, and is then used or expires. */
export interface Issued {
  /** The SID, SEID, NIT or token. */
  id: string;
  /** The key of the store that it belongs to; never shown. */
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
  /** The name of the call that made it, or `notification`. */
  by: string;
  fields: Record<string, string>;
  /** The HTTP status that came back; 0 when none did. */
  status: number;
  ms: number;
}
export interface CallSeen {
  call: string;
  status: number;
  code: string | undefined;
  faults: string[];
}

/** How many calls and posts are remembered. */
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
  /** How often a terminal was used by two requests at once. */
  terminalClashes = 0;

  readonly #expiryMs: number;
  #usn = 0;

  constructor(expiryMs: number) {
    this.#expiryMs = expiryMs;
  }

  /** A fresh identifier of 64 letters and digits, its status `NOV`. */
  issue(owner: string, expired: boolean): Issued {
    const id = randomBytes(32).toString('hex');
    return { id, owner, status: 'NOV', expiresAt: expired ? 0 : Date.now() + this.#expiryMs };
  }

  /** A number as Carat gives them: 15 digits. */
  nextUsn(): string {
    this.#usn += 1;
    return `260101${String(this.#usn).padStart(9, '0')}`;
  }

  /** Looks an identifier up for its owner; another store's is as unknown as one that never was. What ran out is `EXP`. */
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

  /** Lets everything that is still `NOV` run out. */
  expireAll(): void {
    for (const among of [this.schedules, this.payments, this.edits, this.recharges, this.tokens, this.cancellations]) {
      for (const issued of among.values()) if (issued.status === 'NOV') issued.expiresAt = 0;
    }
  }

  /** Everything but the keys of the stores. */
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
