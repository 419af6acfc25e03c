/** A span in OTLP's JSON, and the ids that link spans. */
import { createHash, randomBytes } from 'node:crypto';

export interface SpanPlace {
  /** 32 and 16 hexadecimal digits. */
  traceId: string;
  spanId: string;
}

export interface Span extends SpanPlace {
  name: string;
  parentSpanId?: string | undefined;
  /** Milliseconds since 1970. */
  startedAt: number;
  endedAt: number;
  attributes: Readonly<Record<string, string | number | undefined>>;
  link?: SpanPlace | undefined;
  failed: boolean;
}

/** The caller, from its `traceparent`. */
export interface Parent extends SpanPlace {
  isSampled: boolean;
}

/**
 * Returns the place of a token's post. It derives from the token's id alone: any instance that
 * hands the token over can link to it.
 */
export function placeOfPost(tokenId: string): SpanPlace {
  const digest = createHash('sha256').update(`post ${tokenId}`).digest('hex');
  return { traceId: digest.slice(0, 32), spanId: digest.slice(32, 48) };
}

/** Returns a new span of the caller's trace, or the first of a new trace. */
export function newPlace(parent?: Parent): SpanPlace {
  return { traceId: parent?.traceId ?? randomBytes(16).toString('hex'), spanId: randomBytes(8).toString('hex') };
}

const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Parses W3C's header; undefined if the header is missing or malformed. */
export function parentOf(traceparent: string | undefined): Parent | undefined {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent ?? '') ?? [];
  if (traceId === undefined || spanId === undefined) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags ?? '0', 16) & 1) === 1 };
}

/**
 * Returns whether a trace is within a share of all traces. Decided by its id: every process decides
 * alike.
 */
export function isWithin(ratio: number, traceId: string): boolean {
  return Number.parseInt(traceId.slice(-12), 16) / 2 ** 48 < ratio;
}

const SERVER = 2;
const ERROR = 2;

export function wireOf({ name, traceId, spanId, parentSpanId, startedAt, endedAt, attributes, link, failed }: Span) {
  return {
    traceId,
    spanId,
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    name,
    kind: SERVER,
    startTimeUnixNano: nanosOf(startedAt),
    endTimeUnixNano: nanosOf(endedAt),
    attributes: attributesOf(attributes),
    ...(link === undefined ? {} : { links: [link] }),
    status: failed ? { code: ERROR } : {},
  };
}

export function attributesOf(attributes: Span['attributes']): object[] {
  return Object.entries(attributes).flatMap(([key, value]) => {
    if (value === undefined) return [];
    return [{ key, value: typeof value === 'number' ? { intValue: String(value) } : { stringValue: value } }];
  });
}

/**
 * A double cannot hold nanoseconds since 1970. The clock provides no nanoseconds: the last three
 * digits are constant.
 */
function nanosOf(ms: number): string {
  return `${Math.round(ms * 1000)}000`;
}
