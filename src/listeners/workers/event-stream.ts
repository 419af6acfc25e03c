/**
 * One stream of events to one reader. It keeps only the reader's position in the shared buffer of events. A reader that
 * the buffer overtakes is too slow and is dropped.
 */
import type { ServerResponse } from 'node:http';
import type { Events } from '../../observability/events.ts';

/** Proxies close silent connections. */
const HEARTBEAT_MS = 15_000;
/** Events are written in batches: at 1000 posts/s, one write for each event would slow the posts. */
const BATCH_MS = 50;
const MAX_BATCH = 250;
/** How long a reader has to read why the stream ends. Shorter on a stop, which waits for it. */
const STOP_GRACE_MS = 2000;
const DROP_GRACE_MS = 15_000;

const CHANGED = 'data: changed\n\n';

export interface EventReaderOptions {
  /** Only this merchant's events. */
  merchant: string | undefined;
  /** Sends `data: changed` once for each batch instead of the events. */
  isBrief?: boolean;
  /** Called when the reader is dropped. */
  onSlow: () => void;
}

/** Ends when the client disconnects, when it is too slow, or when the listener closes. */
export class EventReader {
  readonly #response: ServerResponse;
  readonly #events: Events;
  readonly #options: EventReaderOptions;
  /** The position of the next event to write. */
  #place = 0;
  /** The socket's buffer is full. */
  #full = false;
  /** Runs while a batch is pending. */
  #batch: NodeJS.Timeout | undefined;
  /** Runs after the end of the stream, for a client that does not read the end. */
  #grace: NodeJS.Timeout | undefined;
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

  /** Starts the stream. Does nothing when the client left or the stream ended before. */
  begin(lastId: string | undefined): void {
    if (this.#isOver) return;
    this.#place = this.#events.end;
    this.#write(': following\n\n');
    if (lastId !== undefined) {
      const place = this.#events.after(lastId);
      if (place === undefined) this.#write(note('gap', 'events after Last-Event-ID are no longer kept'));
      this.#place = place ?? this.#events.begin;
    }
    const heartbeat = setInterval(() => {
      if (!this.#full) this.#write(': still here\n\n');
    }, HEARTBEAT_MS);
    this.#stop = [this.#events.follow(() => this.#onEvent()), () => clearInterval(heartbeat)];
    this.#writeOn();
  }

  end(why: string): void {
    this.#end(note('end', why), STOP_GRACE_MS);
  }

  /** Releases everything: nobody reads any more. */
  leave(): void {
    this.#isOver = true;
    clearTimeout(this.#batch);
    clearTimeout(this.#grace);
    for (const stop of this.#stop.splice(0)) stop();
  }

  #onEvent(): void {
    if (this.#events.end - this.#place >= MAX_BATCH) this.#writeOn();
    else this.#batch ??= setTimeout(() => this.#writeOn(), BATCH_MS);
  }

  /** Writes the pending events, until the socket's buffer is full. */
  #writeOn(): void {
    clearTimeout(this.#batch);
    this.#batch = undefined;
    const { merchant, isBrief, onSlow } = this.#options;
    if (this.#place < this.#events.begin && !this.#response.writableEnded) {
      this.#end(note('dropped', 'too slow'), DROP_GRACE_MS);
      onSlow();
    }
    while (this.#place < this.#events.end && !this.#full && !this.#response.writableEnded) {
      const end = Math.min(this.#events.end, this.#place + MAX_BATCH);
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
    this.#grace = setTimeout(() => this.#response.destroy(), graceMs);
  }
}

/** An event about the stream itself. It has no id, so that a reader resumes after the last real event. */
function note(name: string, why: string): string {
  return `event: ${name}\ndata: ${JSON.stringify({ why })}\n\n`;
}
