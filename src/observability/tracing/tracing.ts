/**
 * OpenTelemetry traces, enabled only by the environment. Each authenticity post has a span until
 * the post is kept. Each worker request has a span that continues the caller's trace and links to
 * the post of its token. Spans contain names, kinds, outcomes and ids. They never contain a token,
 * a path of Carat's, a correlator or a key.
 *
 * The SDK is not used: its exporter needs a newer Node than we support, and only one shape is sent
 * here.
 */
import { VERSION } from '../../config/version.ts';
import type { Notice } from '../../store/notice.ts';
import type { EventOf } from '../event.ts';
import type { Events } from '../events.ts';
import { Exporter } from './exporter.ts';
import type { TracingSettings } from './settings.ts';
import { isWithin, newPlace, parentOf, placeOfPost, type Span } from './span.ts';

/** A worker request that was answered, or whose client disconnected. */
export interface AnsweredRequest {
  method: string;
  /** The pattern of its path. */
  route: string;
  status: number;
  tookMs: number;
  traceparent: string | undefined;
  /** The id of the token that was handed over. */
  token: string | undefined;
}

/** The worker API. Health, metrics and pages are excluded: frequent requests with little information. */
const TRACED = /^\/v1\/(tokens|claims|expectations)/;

export class Tracing {
  readonly #settings: TracingSettings;
  #exporter: Exporter | undefined;
  #unfollow = (): unknown => undefined;

  constructor(settings: TracingSettings) {
    this.#settings = settings;
  }

  start(events: Events, onNotice: (notice: Notice) => void): void {
    const attributes = { 'service.version': VERSION, 'service.instance.id': events.instance };
    this.#exporter = new Exporter({ settings: this.#settings, attributes, version: VERSION, onNotice });
    this.#unfollow = events.follow((event) => {
      if (event.name === 'post' && event.instance === events.instance) this.#posted(event);
    });
  }

  async stop(): Promise<void> {
    this.#unfollow();
    await this.#exporter?.stop();
  }

  answered({ method, route, status, tookMs, traceparent, token }: AnsweredRequest): void {
    if (!TRACED.test(route)) return;
    const parent = parentOf(traceparent);
    const place = newPlace(parent);
    const { parentDecides, ratio } = this.#settings;
    if (parent !== undefined && parentDecides ? !parent.isSampled : !isWithin(ratio, place.traceId)) return;
    const endedAt = Date.now();
    this.#exporter?.add({
      ...place,
      parentSpanId: parent?.spanId,
      name: `${method} ${route}`,
      startedAt: endedAt - tookMs,
      endedAt,
      attributes: {
        'http.request.method': method,
        'http.route': route,
        'http.response.status_code': status,
        'carat.token_id': token,
      },
      link: token === undefined ? undefined : placeOfPost(token),
      failed: status >= 500,
    });
  }

  #posted({ at, merchant, facts }: EventOf<'post'>): void {
    const { kind, outcome, reason, token, tookMs = 0 } = facts;
    // The first post of a token gets the place that every instance can derive. A repeated post
    // links to that place.
    const known = outcome === 'known' ? token : undefined;
    const place = token === undefined || known !== undefined ? newPlace() : placeOfPost(token);
    if (!isWithin(this.#settings.ratio, place.traceId)) return;
    const span: Span = {
      ...place,
      name: 'authenticity post',
      startedAt: at - tookMs,
      endedAt: at,
      attributes: {
        'carat.merchant': merchant,
        'carat.kind': kind,
        'carat.outcome': outcome,
        'carat.reason': reason,
        'carat.token_id': token,
      },
      link: known === undefined ? undefined : placeOfPost(known),
      failed: outcome === 'failed' || outcome === 'late',
    };
    this.#exporter?.add(span);
  }
}
