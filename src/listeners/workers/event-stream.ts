/**
 * One stream of events to one reader. It keeps nothing for a reader but its place: what a reader has not taken yet waits
 * where all events are kept, and a reader that is overtaken there was too slow and is dropped.
 */
import type { ServerResponse } from 'node:http';
import type { Events } from '../../observability/events.ts';

/** Proxies end what is silent for long. */
const HEARTBEAT_MS = 15_000;
/** What happens together is written together: at a thousand posts a second, a write for each would slow the posts. */
const BUNCH_MS = 50;
const MOST_IN_A_BUNCH = 250;
/** How long a reader has to read why the stream ends: a service that stops waits for it, one that goes on has time. */
const STOP_GRACE_MS = 2000;
const DROP_GRACE_MS = 15_000;

const CHANGED = 'data: changed\n\n';

export interface EventReaderOptions {
  /** Only this merchant's events. */
  merchant: string | undefined;
  /** It is not told what happened, only that something did: `data: changed`, once for what comes together. */
  isBrief?: boolean;
  /** Told when it is dropped. */
  onSlow: () => void;
}

/** It ends when the client leaves, when it is too slow, or when the listener closes. */
export class EventReader {
  readonly #response: ServerResponse;
  readonly #events: Events;
  readonly #options: EventReaderOptions;
  /** The next event to write. */
  #place = 0;
  /** The client has yet to take what was written. */
  #full = false;
  /** Runs while there is something to write. */
  #soon: NodeJS.Timeout | undefined;
  /** Runs once the stream has ended, for one that does not read so far. */
  #last: NodeJS.Timeout | undefined;
  #stop: (() => void)[] = [];
  #isOver = false;

  constructor(response: ServerResponse, events: Events, options: EventReaderOptions) {
    this.#response = response;
    this.#events = events;
    this.#options = options;
    response.on('drain', () => {
      this.#full = false;
      this.#writeOn();
    });
  }

  /** Does nothing when the client left or the stream ended before. */
  begin(lastId: string | undefined): void {
    if (this.#isOver) return;
    this.#place = this.#events.end;
    this.#write(': following\n\n');
    if (lastId !== undefined) {
      const place = this.#events.after(lastId);
      if (place === undefined) this.#write(note('gap', 'events after the one that was named are not kept any more'));
      this.#place = place ?? this.#events.begin;
    }
    const heartbeat = setInterval(() => {
      if (!this.#full) this.#write(': still here\n\n');
    }, HEARTBEAT_MS);
    this.#stop = [this.#events.follow(() => this.#come()), () => clearInterval(heartbeat)];
    this.#writeOn();
  }

  end(why: string): void {
    this.#end(note('end', why), STOP_GRACE_MS);
  }

  /** Says that there is nobody to read any more. */
  leave(): void {
    this.#isOver = true;
    clearTimeout(this.#soon);
    clearTimeout(this.#last);
    for (const stop of this.#stop.splice(0)) stop();
  }

  #come(): void {
    if (this.#events.end - this.#place >= MOST_IN_A_BUNCH) this.#writeOn();
    else this.#soon ??= setTimeout(() => this.#writeOn(), BUNCH_MS);
  }

  /** Writes what comes next for as long as it is taken. */
  #writeOn(): void {
    clearTimeout(this.#soon);
    this.#soon = undefined;
    const { merchant, isBrief, onSlow } = this.#options;
    if (this.#place < this.#events.begin && !this.#response.writableEnded) {
      this.#end(note('dropped', 'too slow'), DROP_GRACE_MS);
      onSlow();
    }
    while (this.#place < this.#events.end && !this.#full && !this.#response.writableEnded) {
      const end = Math.min(this.#events.end, this.#place + MOST_IN_A_BUNCH);
      let text = '';
      for (; this.#place < end; this.#place += 1) {
        const isShown = merchant === undefined || this.#events.at(this.#place)?.merchant === merchant;
        if (isShown) text = isBrief ? CHANGED : text + this.#events.textAt(this.#place);
      }
      if (text !== '') this.#write(text);
    }
  }

  #write(text: string): void {
    this.#full = !this.#response.write(text);
  }

  #end(text: string, graceMs: number): void {
    if (this.#response.destroyed) return;
    this.leave();
    if (!this.#response.writableEnded) this.#response.end(text);
    this.#last = setTimeout(() => this.#response.destroy(), graceMs);
  }
}

/** An event about the stream itself: it has no id, so that a reader comes back to where it was. */
function note(name: string, why: string): string {
  return `event: ${name}\ndata: ${JSON.stringify({ why })}\n\n`;
}
