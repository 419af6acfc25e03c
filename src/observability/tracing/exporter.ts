/**
 * Sends spans to a collector, as OTLP JSON over HTTP. Best effort: one request at a time, and a
 * bounded queue. Spans that the collector does not take are lost and counted.
 */
import type { Notice } from '../../store/notice.ts';
import type { TracingSettings } from './settings.ts';
import { attributesOf, type Span, wireOf } from './span.ts';

const MAX_QUEUED = 4096;
const MAX_SENT_AT_ONCE = 512;
/** Interval between reports of dropped spans. */
const REPORT_EVERY_MS = 60_000;
/** Time that a stop waits for the collector. */
const STOP_WITHIN_MS = 1000;

export interface ExporterOptions {
  settings: TracingSettings;
  /** Resource attributes of this instance, beside those of the settings. */
  attributes: Readonly<Record<string, string>>;
  version: string;
  onNotice: (notice: Notice) => void;
}

export class Exporter {
  readonly #options: ExporterOptions;
  readonly #timer: NodeJS.Timeout;
  #queue: Span[] = [];
  #sending: Promise<void> | undefined;
  #lost = 0;
  #isTroubled = false;
  #reportedAt = Number.NEGATIVE_INFINITY;

  constructor(options: ExporterOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#send(), options.settings.sendEveryMs);
  }

  add(span: Span): void {
    if (this.#queue.length >= MAX_QUEUED) this.#lost += 1;
    else this.#queue.push(span);
    if (this.#queue.length >= MAX_SENT_AT_ONCE) this.#send();
  }

  /** Sends the remaining spans, within the time of a stop. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    const stopAt = performance.now() + STOP_WITHIN_MS;
    while (this.#queue.length > 0 || this.#sending !== undefined) {
      this.#send();
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, stopAt - performance.now());
      });
      await Promise.race([this.#sending, late]);
      clearTimeout(timer);
      if (performance.now() >= stopAt || this.#isTroubled) return;
    }
  }

  #send(): void {
    if (this.#sending !== undefined || this.#queue.length === 0) return;
    const spans = this.#queue.splice(0, MAX_SENT_AT_ONCE);
    this.#sending = this.#post(spans).then((problem) => {
      this.#sending = undefined;
      if (problem !== undefined) this.#lost += spans.length;
      this.#report(problem);
      if (problem === undefined && this.#queue.length >= MAX_SENT_AT_ONCE) this.#send();
    });
  }

  /** Returns the problem, if any. */
  async #post(spans: readonly Span[]): Promise<string | undefined> {
    const { settings, attributes, version } = this.#options;
    const { endpoint, headers, timeoutMs } = settings;
    const scopeSpans = [{ scope: { name: 'carat-authenticity', version }, spans: spans.map(wireOf) }];
    const resource = { attributes: attributesOf({ ...attributes, ...settings.attributes }) };
    try {
      const response = await fetch(endpoint, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ resourceSpans: [{ resource, scopeSpans }] }),
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
      });
      await response.body?.cancel();
      return response.ok ? undefined : `the collector answered ${response.status}`;
    } catch (error) {
      const { cause, name } = error as { cause?: { code?: string }; name: string };
      return `the collector cannot be reached: ${cause?.code ?? name}`;
    }
  }

  /** Reports a change of state only, not each request. */
  #report(problem: string | undefined): void {
    const { onNotice } = this.#options;
    if (problem !== undefined) {
      if (!this.#isTroubled)
        onNotice({ level: 'warn', code: 'traces_lost', message: `trace export failed, spans are dropped: ${problem}` });
    } else if (this.#lost > 0 && (this.#isTroubled || performance.now() - this.#reportedAt > REPORT_EVERY_MS)) {
      const message = `trace export recovered; ${this.#lost} spans dropped while the collector was unavailable`;
      onNotice({ level: 'info', code: 'traces_taken', message });
      this.#lost = 0;
      this.#reportedAt = performance.now();
    }
    this.#isTroubled = problem !== undefined;
  }
}
