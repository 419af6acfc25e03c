/**
 * OpenTelemetry traces, run only when the environment asks for them: a span for each authenticity post, until it was
 * kept, and one for each request of a worker, that goes on with the caller's trace and points to the post whose token it
 * was given. In them are names, kinds, outcomes and ids; never a token, a path of Carat's, a correlator or a key.
 *
 * Written by hand and without the SDK: its exporter wants a newer Node than we do, and what is sent here is one shape.
 */
import { VERSION } from '../../config/version.ts';
import type { Notice } from '../../store/notice.ts';
import type { EventOf } from '../event.ts';
import type { Events } from '../events.ts';
import { Exporter } from './exporter.ts';
import type { TracingSettings } from './settings.ts';
import { isWithin, newPlace, parentOf, placeOfPost, type Span } from './span.ts';

/** A request of a worker that was answered, or whose client went away. */
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

/** The worker API; who looks at health, figures and pages asks often and says little. */
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
    // The first of a token is where all can find it; one that comes again points there.
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
