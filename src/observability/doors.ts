/**
 * Counts, by door, input at the public listener that is not a request to an authenticity path.
 * Since the start.
 */
export const DOORS = ['not_found', 'near_miss', 'bad_request', 'tls_handshake', 'alpn', 'given_up'] as const;
/**
 * `near_miss`: the path resembles a merchant's, but does not match. `bad_request`: Node could not
 * parse a request. `alpn`: a TLS client that speaks HTTP/2 only. `given_up`: a connection closed
 * because of the limit.
 */
export type Door = (typeof DOORS)[number];

export interface DoorCount {
  door: Door;
  /** The merchant whose path is similar. */
  merchant: string | undefined;
  count: number;
  /** Milliseconds since 1970. */
  lastAt: number;
}

const RECENT_MINUTES = 15;
const MINUTE_MS = 60_000;

export class DoorCounts {
  readonly #counts = new Map<string, DoorCount>();
  /** Oldest first, one for each minute and merchant. */
  #recent: { minute: number; merchant: string | undefined; count: number }[] = [];

  add(door: Door, merchant: string | undefined): void {
    const key = `${door} ${merchant ?? ''}`;
    const count = this.#counts.get(key) ?? { door, merchant, count: 0, lastAt: 0 };
    count.count += 1;
    count.lastAt = Date.now();
    this.#counts.set(key, count);
    const minute = Math.floor(count.lastAt / MINUTE_MS);
    const same = this.#recent.findLast((one) => one.minute === minute && one.merchant === merchant);
    if (same !== undefined) same.count += 1;
    else {
      this.#forget(count.lastAt);
      this.#recent.push({ minute, merchant, count: 1 });
    }
  }

  /** Returns the count of the last 15 minutes, of one merchant or of all. */
  recent(now: number, merchant: string | undefined): number {
    this.#forget(now);
    const counted = this.#recent.filter((one) => merchant === undefined || one.merchant === merchant);
    return counted.reduce((sum, { count }) => sum + count, 0);
  }

  #forget(now: number): void {
    const oldest = Math.floor(now / MINUTE_MS) - RECENT_MINUTES + 1;
    this.#recent = this.#recent.filter(({ minute }) => minute >= oldest);
  }

  /** Counts in the order of `DOORS`, of one merchant or of all. */
  list(merchant: string | undefined): DoorCount[] {
    const shown = [...this.#counts.values()].filter((one) => merchant === undefined || one.merchant === merchant);
    return shown.sort((a, b) => DOORS.indexOf(a.door) - DOORS.indexOf(b.door));
  }
}
