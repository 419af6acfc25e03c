/** The types of one call to Carat. */
import type * as z from 'zod';
import type { Service } from './addresses.ts';

export interface CallOptions {
  /** Ends the call; what it did at Carat by then stays done. */
  signal?: AbortSignal | undefined;
  /** Milliseconds until the call is given up, 1 to 600 000; default: the client's, 60 000. */
  timeoutMs?: number | undefined;
  /** Called with Carat's result code and message when the call succeeds, before it resolves. */
  onSuccess?: ((said: CaratSaid) => void) | undefined;
}

/** What Carat said of a call. */
export interface CaratSaid {
  /** Carat's result code; `0` is success. */
  code: string;
  /** At most 500 characters, secrets of the request masked; empty when Carat sent none. */
  message: string;
}

export interface Call<A> {
  /** The method's name in this client: `schedules.beginEdit`. */
  name: string;
  service: Service;
  method: 'GET' | 'POST' | 'PUT';
  /** Below the base address; its parts are encoded by the caller. */
  path: string;
  query?: Record<string, string | undefined>;
  body?: unknown;
  /** The HTTP status of success; default 200. */
  success?: number;
  /** False for queries only: then a lost answer means that nothing happened. */
  effectful: boolean;
  /** `optional` where Carat does not document that the answer states a result code. */
  resultCode?: 'required' | 'optional';
  answer: z.ZodType<A>;
}

export type Send = <A>(call: Call<A>, options?: CallOptions) => Promise<A>;
