/**
 * Places for a bounded number of waiting requests, shared fairly. Half of the places is divided evenly among the parties
 * and kept for them; the other half goes to the first that ask. One party can never take all places.
 */
export class Shares {
  readonly #max: number;
  /** Places kept for each party. */
  readonly #share: number;
  /** Places in use, by party. */
  readonly #used: Map<string, number>;
  #count = 0;
  /** Places kept for all parties together that are not in use. */
  #kept: number;

  constructor(max: number, parties: readonly string[]) {
    this.#max = max;
    this.#used = new Map(parties.map((party) => [party, 0]));
    this.#share = parties.length > max ? 0 : Math.ceil(max / (2 * Math.max(parties.length, 1)));
    this.#kept = this.#share * parties.length;
  }

  /** Places in use. */
  get count(): number {
    return this.#count;
  }

  /** Takes a place until `leave`. Returns false when the remaining places are kept for others. */
  take(party: string): boolean {
    return this.#take(party, this.#kept - this.#unused(party));
  }

  /** The same for a trusted party, which may take the places of others as well. */
  takeAny(party: string): boolean {
    return this.#take(party, 0);
  }

  leave(party: string): void {
    const before = this.#unused(party);
    this.#used.set(party, (this.#used.get(party) ?? 0) - 1);
    this.#kept += this.#unused(party) - before;
    this.#count -= 1;
  }

  #take(party: string, keptForOthers: number): boolean {
    if (this.#count + keptForOthers >= this.#max) return false;
    const before = this.#unused(party);
    this.#used.set(party, (this.#used.get(party) ?? 0) + 1);
    this.#kept += this.#unused(party) - before;
    this.#count += 1;
    return true;
  }

  /** What is left of a party's own share. */
  #unused(party: string): number {
    const used = this.#used.get(party);
    return used === undefined ? 0 : Math.max(0, this.#share - used);
  }
}
