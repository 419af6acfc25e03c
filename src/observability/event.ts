/**
 * Everything that can happen, as one discriminated union: the name of an event decides which facts it
 * has. All of it is redacted. An event of another instance is checked when it is read, and may be of a
 * name or a form that only another version knows.
 */
import * as z from 'zod';
import type { PutAnswer } from '../store/contract.ts';
import { CORRELATORS, type Correlator, KINDS, type UnusableReason } from '../token.ts';
import { DOORS } from './doors.ts';

/** `late`: Carat was answered before the store had acknowledged the token. */
export type TokenOutcome = PutAnswer | 'late' | 'failed';
/** What became of a post: of its token, or why it is unusable. */
export type PostOutcome = TokenOutcome | UnusableReason;

const text = z.string();
const optionalText = text.optional();
const kind = z.enum(KINDS);
const how = z.enum(['read', 'claim']);
const correlators = {
  merchant_data: optionalText,
  sid: optionalText,
  merchant_usn: optionalText,
  order_id: optionalText,
} satisfies Record<Correlator, z.ZodType>;

/** The facts of each event, in the fields of `/v1/events`. */
const FACTS = {
  post: z.object({
    /** A `TokenOutcome` or `unusable`. A newer version may have others. */
    outcome: text,
    /** Why it is unusable: an `UnusableReason`. A newer version may have others. */
    reason: optionalText,
    kind: kind.optional(),
    ...correlators,
    fingerprint: optionalText,
    /** The address of the sender. */
    from: text,
    /** Fields that could not be read. */
    dropped: z
      .array(z.enum([...KINDS, ...CORRELATORS]))
      .readonly()
      .optional(),
    /** What was sent instead of a form. */
    contentType: optionalText,
    contentEncoding: optionalText,
    /** Milliseconds from the last byte until the token was kept, or the post found unusable. 1.0.0 does not send it. */
    tookMs: z.number().optional(),
    /** The id of the token. */
    token: optionalText,
  }),
  handover: z.object({
    how,
    kind,
    ...correlators,
    fingerprint: text,
    /** Milliseconds since the token arrived. */
    afterMs: z.number(),
    token: text,
    claimId: optionalText,
  }),
  /** Settled by its claim, or by its own id. */
  settled: z.object({ what: z.enum(['used', 'released']), claimId: optionalText, token: optionalText }),
  lease_lost: z.object({ claimId: text }),
  /** The service asked Carat for a token. */
  ask: z.object({ call: text, outcome: text, caratCode: optionalText }),
  recharge: z.object({
    what: z.enum(['handed_out', 'confirm', 'undo', 'guard_undo', 'confirmed', 'undone', 'not_effected']),
    merchant_usn: text,
    decision: optionalText,
    by: optionalText,
    status: optionalText,
  }),
  expectation: z.discriminatedUnion('what', [
    /** `expiresAt`: milliseconds since 1970. */
    z.object({ what: z.literal('opened'), id: text, kind, topic: text, expiresAt: z.number() }),
    z.object({ what: z.literal('cancelled'), id: text }),
  ]),
  no_show: z.object({ what: z.literal('no_show'), kind, expectation: text }),
  /** `id`: that of the token. */
  orphan: z.object({ what: z.literal('orphan'), kind, id: text }),
  door: z.object({ door: z.enum(DOORS), from: text, reason: optionalText }),
  /** A notice, with its own facts. */
  trouble: z
    .object({ level: z.enum(['info', 'warn', 'error']), code: text, message: text })
    .catchall(z.union([text, z.number()])),
};

export type EventName = keyof typeof FACTS;
export const EVENT_NAMES = Object.keys(FACTS);
export type FactsOf<N extends EventName> = z.output<(typeof FACTS)[N]>;

/** What happened, and to which merchant: none if it concerns the service as a whole. */
export type Happening = {
  [N in EventName]: {
    name: N;
    merchant: N extends 'door' | 'trouble' ? string | undefined : string;
    facts: Readonly<FactsOf<N>>;
  };
}[EventName];

interface Occasion {
  /** Unique among all instances, so that a reader may continue at another one. */
  id: string;
  /** Where it happened. */
  instance: string;
  /** Milliseconds since 1970. */
  at: number;
}

type KnownEvent = Occasion & Happening;

/** An event that only another version knows. It is passed on to readers, and nothing else uses it. */
interface UnknownEvent extends Occasion {
  name: 'unknown';
  sentName: string;
  merchant: string | undefined;
  facts: Readonly<Record<string, unknown>>;
}

export type Event = KnownEvent | UnknownEvent;
export type EventOf<N extends EventName> = Extract<KnownEvent, { name: N }>;

const Envelope = z.object({
  id: text.refine((id) => !Number.isNaN(numberOf({ id }))),
  name: text,
  instance: text,
  at: z.number().refine((at) => new Date(at).getTime() === at),
  merchant: optionalText,
  facts: z.custom<Record<string, unknown>>((facts) => facts instanceof Object),
});
type Envelope = z.output<typeof Envelope>;

/** An event as another instance sends it. Its facts are kept as they came: a newer version may have more of them. */
export const SentEvent: z.ZodType<Event> = Envelope.transform((sent): Event => {
  if (isKnown(sent)) return sent;
  const { name: sentName, ...others } = sent;
  return { ...others, name: 'unknown', sentName, merchant: sent.merchant };
});

function isKnown(sent: Envelope): sent is Envelope & KnownEvent {
  const { name, merchant, facts } = sent;
  if (!isEventName(name)) return false;
  const isOfMerchant = name !== 'door' && name !== 'trouble';
  return (merchant !== undefined || !isOfMerchant) && FACTS[name].safeParse(facts).success;
}

function isEventName(name: string): name is EventName {
  return Object.hasOwn(FACTS, name);
}

/** The place of an event among those of its instance. */
export function numberOf({ id }: { id: string }): number {
  return Number(id.slice(id.lastIndexOf('-') + 1));
}

/** The event as a server-sent event. */
export function textOf(event: Event): string {
  const { id, name, at, instance, merchant, facts } = event;
  const sentName = name === 'unknown' ? event.sentName : name;
  const data = { at: timeText(at), instance, merchant, ...facts };
  return `id: ${id}\nevent: ${sentName}\ndata: ${JSON.stringify(data)}\n\n`;
}

let second = { at: Number.NaN, text: '' };

/** RFC 3339. All but the milliseconds is formatted once for each second. */
export function timeText(at: number): string {
  const seconds = Math.floor(at / 1000);
  if (second.at !== seconds) second = { at: seconds, text: new Date(seconds * 1000).toISOString().slice(0, 20) };
  return `${second.text}${String(at - seconds * 1000).padStart(3, '0')}Z`;
}
