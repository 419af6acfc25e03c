/**
 * Exchanges redacted events and a heartbeat with the other instances. Best effort: batches are
 * bounded, and events that cannot be sent are dropped and counted.
 *
 * Events are sent only while another instance needs them. An instance with a reader says so in its
 * heartbeat. The need ends when the heartbeats stop or say otherwise. The first reader of an instance
 * asks for the past: each other instance answers with its own events that it still has.
 */
import type { Channel } from '../../store/contract.ts';
import type { Event } from '../event.ts';
import type { Events } from '../events.ts';
import { type InstanceState, type MessageBody, readMessage } from './message.ts';
import { Outbox } from './outbox.ts';
import { Peers } from './peers.ts';
import { type EndReading, Readers } from './readers.ts';
import { Received } from './received.ts';

const SEND_EVERY_MS = 100;
const STATE_EVERY_MS = 2000;

export interface RelayOptions {
  channel: Channel;
  events: Events;
  /** The state of this instance, now. */
  self: () => InstanceState;
  /** Gets the number of events that were needed and not sent. */
  onDropped: (count: number) => void;
}

export class Relay {
  readonly #channel: Channel;
  readonly #events: Events;
  readonly #self: () => InstanceState;
  readonly #peers = new Peers();
  readonly #received = new Received();
  readonly #outbox: Outbox;
  readonly #readers: Readers;
  /** The beginning of each text that is sent from here. */
  readonly #ownBeginning: string;
  #timers: NodeJS.Timeout[] = [];
  #startedAt = performance.now();

  constructor({ channel, events, self, onDropped }: RelayOptions) {
    this.#channel = channel;
    this.#events = events;
    this.#self = self;
    this.#ownBeginning = `{"from":${JSON.stringify(events.instance)},`;
    this.#outbox = new Outbox({ events, onDropped, send: (message) => this.#send(message) });
    this.#readers = new Readers({
      peers: this.#peers,
      send: (message) => this.#send({ state: this.#self(), ...message }),
      knowsPeers: () => performance.now() - this.#startedAt > STATE_EVERY_MS,
    });
  }

  start(): void {
    this.#startedAt = performance.now();
    this.#channel.open((text) => this.#receive(text));
    this.#timers = [
      setInterval(() => this.#outbox.flush(), SEND_EVERY_MS),
      setInterval(() => this.#send({ state: this.#self(), needs: this.#readers.needEvents }), STATE_EVERY_MS),
    ];
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#readers.stop();
    this.#outbox.stop();
    this.#channel.close();
  }

  /** The other instances, by name. */
  others(): InstanceState[] {
    return this.#peers.states();
  }

  /**
   * Begins to read the events of the other instances. Resolves when their past is among the events,
   * at the latest after 200 ms. A reader must not hold a place in the events before that.
   */
  beginReading(): Promise<EndReading> {
    return this.#readers.begin();
  }

  #send(message: MessageBody): boolean {
    return this.#channel.send(this.#ownBeginning + JSON.stringify(message).slice(1));
  }

  #receive(text: string): void {
    // The channel delivers to the sender, too.
    if (text.startsWith(this.#ownBeginning)) return;
    const message = readMessage(text);
    if (message === undefined) return;
    const { from, events, past, state, needs = state !== undefined, asks = false } = message;
    if (state !== undefined) this.#peers.record(from, state, message.needs !== undefined);
    if (events !== undefined) for (const event of this.#received.newOf(from, events)) this.#events.receive(event);
    if (past !== undefined) this.#receivePast(from, past);
    if (needs) this.#outbox.onNeed(asks);
  }

  /** A merge changes places. While a reader holds one, late events are added at the end. */
  #receivePast(from: string, past: readonly Event[]): void {
    const missing = this.#received.missingOf(from, past);
    if (this.#readers.holdPlaces) for (const event of missing) this.#events.receive(event);
    else if (missing.length > 0) this.#events.merge(missing);
    this.#readers.onPast(from);
  }
}
