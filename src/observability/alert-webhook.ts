/**
 * Posts alerts that need action to `ALERT_WEBHOOK_URL`. Alerts are notices of level error, posts
 * that were not kept in time, no-shows and orphans of this instance. They are grouped, at most one
 * POST a minute, and nothing waits for a POST. Logs never contain the receiver's answer or the
 * address: the address is a secret.
 */
import type { Notice } from '../store/notice.ts';
import type { Event } from './event.ts';
import type { Events } from './events.ts';

const MOST_GROUPS = 50;
const MOST_TEXT_CHARS = 300;
/** Time that a stop waits for the receiver. */
const STOP_WITHIN_MS = 1000;
/** The first failure is reported, then each time this many more POSTs have failed. */
const REPORT_EVERY = 10;

export interface AlertWebhookOptions {
  url: string;
  events: Events;
  onNotice: (notice: Notice) => void;
  /** Called at the end of each POST. */
  onPosted: (outcome: 'sent' | 'failed') => void;
  /** Time between two POSTs, time to gather before the first, and time for an answer. */
  pace?: Partial<AlertPace>;
}

interface AlertPace {
  everyMs: number;
  gatherMs: number;
  timeoutMs: number;
}

const PACE: AlertPace = { everyMs: 60_000, gatherMs: 1000, timeoutMs: 10_000 };

/** The body of a POST. Slack shows `text`, Teams the card, and other receivers read `alerts`. */
export interface AlertBody {
  type?: 'message';
  text: string;
  attachments?: [ReturnType<typeof teamsCard>];
  source: 'carat-authenticity';
  instance: string;
  alerts: Alert[];
  /** Number of alerts with further codes. */
  more: number;
}

export interface Alert {
  /** The code of a notice, or `post_late`, `post_failed`, `no_show`, `orphan`. */
  code: string;
  merchant?: string;
  /** Number since the last accepted POST. */
  count: number;
  /** RFC 3339. */
  first_at: string;
  last_at: string;
  /** The newest message. */
  message: string;
}

type Group = Omit<Alert, 'first_at' | 'last_at'> & { firstAt: number; lastAt: number };

export class AlertWebhook {
  readonly #options: AlertWebhookOptions;
  readonly #pace: AlertPace;
  readonly #stop = new AbortController();
  #groups = new Map<string, Group>();
  #more = 0;
  #timer: NodeJS.Timeout | undefined;
  #posting: Promise<void> | undefined;
  #postedAt = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #unfollow = (): unknown => undefined;

  constructor(options: AlertWebhookOptions) {
    this.#options = options;
    this.#pace = { ...PACE, ...options.pace };
  }

  start(): void {
    this.#unfollow = this.#options.events.follow((event) => this.#onEvent(event));
  }

  /** Sends the gathered alerts if the minute allows it, within the time of a stop. */
  async stop(): Promise<void> {
    this.#unfollow();
    clearTimeout(this.#timer);
    const isDue = performance.now() - this.#postedAt >= this.#pace.everyMs;
    if (this.#posting === undefined && isDue && this.#groups.size > 0) this.#post();
    const late = setTimeout(() => this.#stop.abort(), STOP_WITHIN_MS);
    await this.#posting;
    clearTimeout(late);
    clearTimeout(this.#timer);
  }

  #onEvent(event: Event): void {
    // Each instance posts its own alerts.
    if (event.instance !== this.#options.events.instance) return;
    const alert = alertOf(event);
    if (alert === undefined) return;
    this.#add({ ...alert, count: 1, firstAt: event.at, lastAt: event.at });
    this.#plan();
  }

  #add(group: Group): void {
    const key = `${group.code} ${group.merchant ?? ''}`;
    const known = this.#groups.get(key);
    if (known !== undefined) {
      known.count += group.count;
      known.firstAt = Math.min(known.firstAt, group.firstAt);
      if (group.lastAt >= known.lastAt) Object.assign(known, { lastAt: group.lastAt, message: group.message });
    } else if (this.#groups.size < MOST_GROUPS) this.#groups.set(key, group);
    else this.#more += group.count;
  }

  #plan(): void {
    if (this.#timer !== undefined || this.#posting !== undefined || this.#stop.signal.aborted) return;
    const dueIn = this.#postedAt + this.#pace.everyMs - performance.now();
    this.#timer = setTimeout(() => this.#post(), Math.max(this.#pace.gatherMs, dueIn));
  }

  #post(): void {
    this.#timer = undefined;
    const groups = this.#groups;
    const more = this.#more;
    this.#groups = new Map();
    this.#more = 0;
    this.#postedAt = performance.now();
    const body = alertBody(this.#options.url, this.#options.events.instance, [...groups.values()], more);
    this.#posting = this.#send(body).then((problem) => {
      this.#posting = undefined;
      this.#options.onPosted(problem === undefined ? 'sent' : 'failed');
      if (problem !== undefined) {
        // These alerts go with the next POST.
        for (const group of groups.values()) this.#add(group);
        this.#more += more;
      }
      this.#report(problem);
      if (this.#groups.size > 0) this.#plan();
    });
  }

  /** Returns the problem, if any. Never an error's text: it may contain the address. */
  async #send(body: AlertBody): Promise<string | undefined> {
    try {
      const response = await fetch(this.#options.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', connection: 'close' },
        body: JSON.stringify(body),
        redirect: 'manual',
        signal: AbortSignal.any([this.#stop.signal, AbortSignal.timeout(this.#pace.timeoutMs)]),
      });
      await response.body?.cancel();
      return response.ok ? undefined : `it answered ${response.status}`;
    } catch (error) {
      const { cause, name } = error as { cause?: { code?: string }; name: string };
      return `it cannot be reached: ${cause?.code ?? name}`;
    }
  }

  #report(problem: string | undefined): void {
    const { onNotice } = this.#options;
    if (problem === undefined) {
      if (this.#failures > 0) {
        const message = `the receiver of ALERT_WEBHOOK_URL takes alerts again after ${this.#failures} failures`;
        onNotice({ level: 'info', code: 'alert_webhook_back', message });
      }
      this.#failures = 0;
      return;
    }
    this.#failures += 1;
    if (this.#failures % REPORT_EVERY !== 1) return;
    const message = `the receiver of ALERT_WEBHOOK_URL did not take an alert: ${problem}; it is sent again with the next`;
    onNotice({ level: 'warn', code: 'alert_webhook_failed', message, facts: { failures: this.#failures } });
  }
}

const MESSAGES = {
  post_late: 'post answered before it was kept; check the store and its disk',
  post_failed: 'post not kept; the log has the reason, ask Carat for a new token',
  no_show: 'announced post did not come; check the registered URL, and whether Carat refused the request',
  orphan: 'token expired unread; check that a worker waits under the right correlator',
};

function alertOf({ name, merchant, facts }: Event): Pick<Group, 'code' | 'merchant' | 'message'> | undefined {
  const of = (code: keyof typeof MESSAGES) => ({ code, ...(merchant && { merchant }), message: MESSAGES[code] });
  switch (name) {
    case 'no_show':
    case 'orphan':
      return of(name);
    case 'post':
      if (facts.outcome === 'late') return of('post_late');
      return facts.outcome === 'failed' ? of('post_failed') : undefined;
    case 'trouble':
      return facts.level === 'error' ? { code: facts.code, message: plainText(facts.message) } : undefined;
    default:
      return undefined;
  }
}

/** Blanks the characters that Slack reads as a mention or a link. */
function plainText(text: string): string {
  return text.slice(0, MOST_TEXT_CHARS).replace(/[<>]/g, ' ');
}

/** Hosts of Slack, which shows `text` and may refuse another product's cards in `attachments`. */
const SLACK = /(^|\.)slack(-gov)?\.com$/;

export function alertBody(url: string, instance: string, groups: readonly Group[], more: number): AlertBody {
  const lines = groups.map(
    ({ code, merchant, count, message }) => `${count} × ${code}${merchant ? ` (${merchant})` : ''}: ${message}`,
  );
  if (more > 0) lines.push(`${more} × further codes, see the log`);
  const text = [`carat-authenticity ${instance}`, ...lines].join('\n\n');
  return {
    ...(SLACK.test(new URL(url).hostname) ? { text } : { type: 'message', text, attachments: [teamsCard(text)] }),
    source: 'carat-authenticity',
    instance,
    alerts: groups.map(({ firstAt, lastAt, ...alert }) => ({
      ...alert,
      first_at: new Date(firstAt).toISOString(),
      last_at: new Date(lastAt).toISOString(),
    })),
    more,
  };
}

/** An Adaptive Card. A workflow of Teams accepts a body without one, and shows nothing. */
function teamsCard(text: string) {
  return {
    contentType: 'application/vnd.microsoft.card.adaptive',
    contentUrl: null,
    content: {
      $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
      type: 'AdaptiveCard',
      version: '1.2',
      body: [{ type: 'TextBlock', text, wrap: true }],
    },
  };
}
