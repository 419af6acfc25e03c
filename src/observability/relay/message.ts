/** What instances send each other, and the check of what another instance sent. It may be of another version. */
import * as z from 'zod';
import { SentEvent } from '../event.ts';

/** The state of an instance, as it describes itself. */
const State = z.object({
  name: z.string(),
  version: z.string(),
  /** Milliseconds since 1970. */
  startedAt: z.number(),
  store: z.enum(['ok', 'degraded', 'away']),
  /** Tokens and expectations that are not in Redis yet. */
  pending: z.number(),
  /** How many workers wait, by merchant. */
  waiters: z.record(z.string(), z.number()),
  /** The first of them. */
  first: z.array(z.object({ merchant: z.string(), topic: z.string(), since: z.number() })),
});
export type InstanceState = z.output<typeof State>;

const Message = z.object({
  /** The name of the sender. */
  from: z.string(),
  /** What just happened at the sender. */
  events: z.array(SentEvent).optional(),
  /** All events of the sender that it still has, oldest first. 1.0.0 ignores it: it has them already. */
  past: z.array(SentEvent).optional(),
  state: State.optional(),
  /** The sender has readers. 1.0.0 sends no such field, and always needs events. */
  needs: z.boolean().optional(),
  /** The sender needs the past, too. */
  asks: z.boolean().optional(),
});
export type Message = z.output<typeof Message>;
export type MessageBody = Omit<Message, 'from'>;

/** Undefined for a text that is not a message. */
export function readMessage(text: string): Message | undefined {
  try {
    return Message.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
