/** The types of one call to Carat. */
import type * as z from 'zod';
import type { Service } from './addresses.ts';

export interface CallOptions {
  /** Aborts the call. Effects that it already had at Carat remain. */
  signal?: AbortSignal | undefined;
  /** Milliseconds until the call is given up, 1 to 600 000; default: the client's, 60 000. */
  timeoutMs?: number | undefined;
  /** Called with Carat's result code and message when the call succeeds, before it resolves. */
  onSuccess?: ((said: CaratSaid) => void) | undefined;
}

/** Carat's result of a call. */
export interface CaratSaid {
  /** Carat's result code; `0` is success. */
  code: string;
  /** At most 500 characters, with the request's secrets masked. Empty if Carat sent none. */
  message: string;
}

export interface Call<A> {
  /** The method's name in this client: `schedules.beginEdit`. */
  name: string;
  service: Service;
  method: 'GET' | 'POST' | 'PUT';
  /** Relative to the base address. The caller encodes its parts. */
  path: string;
  query?: Record<string, string | undefined>;
  body?: unknown;
  /** The HTTP status of success; default 200. */
  success?: number;
  /** False for queries: a lost answer then means that nothing changed at Carat. */
  effectful: boolean;
  /** `optional` if Carat does not document a result code in the answer. */
  resultCode?: 'required' | 'optional';
  answer: z.ZodType<A>;
}

export type Send = <A>(call: Call<A>, options?: CallOptions) => Promise<A>;
