/**
 * Which events of the other instances are here already. An event comes twice when it is sent as it
 * happens and then again in the past. An instance numbers its events in their ids.
 */
import { type Event, numberOf } from '../event.ts';
import { MOST_INSTANCES } from './peers.ts';

export class Received {
  /** By instance. The one that was silent for longest is first. */
  readonly #instances = new Map<string, OfInstance>();

  /** Those events, sent as they happened, that are not here. */
  newOf(instance: string, events: readonly Event[]): Event[] {
    const received = this.#of(instance);
    return events.filter((event) => received.isNew(event));
  }

  /** Those events of the whole past of an instance that are not here. */
  missingOf(instance: string, past: readonly Event[]): Event[] {
    return this.#of(instance).missing(past);
  }

  #of(instance: string): OfInstance {
    const received = this.#instances.get(instance) ?? new OfInstance();
    this.#instances.delete(instance);
    this.#instances.set(instance, received);
    const [oldest = instance] = this.#instances.keys();
    if (this.#instances.size > MOST_INSTANCES) this.#instances.delete(oldest);
    return received;
  }
}

class OfInstance {
  /** Up to this number, nothing is missing that the instance still had. */
  #complete = 0;
  /** The first and the last number that came outside a past, since the last past. */
  #first = Number.POSITIVE_INFINITY;
  #last = 0;

  isNew(event: Event): boolean {
    const number = numberOf(event);
    if (number <= Math.max(this.#complete, this.#last)) return false;
    this.#first = Math.min(this.#first, number);
    this.#last = number;
    return true;
  }

  missing(past: readonly Event[]): Event[] {
    const missing = past.filter((event) => numberOf(event) > this.#complete && numberOf(event) < this.#first);
    this.#complete = Math.max(this.#complete, this.#last, ...past.slice(-1).map(numberOf));
    this.#first = Number.POSITIVE_INFINITY;
    return missing;
  }
}
