/**
 * Faults of the simulator, on request. The header `x-simulator-fault` sets a fault for its own
 * call. `POST /simulator/faults` plans faults for the next calls of a name.
 */

export const FAULTS = {
  delay: 'Waits before it works on the call; value: milliseconds (200).',
  'delay-answer': 'Does everything, then waits before it answers; value: milliseconds (200).',
  'no-post': 'Answers success without an authenticity post.',
  'double-post': 'Posts the same twice.',
  'conflicting-post': 'Posts a second time, with another value under the same correlator.',
  'post-after-answer': 'Answers success first and posts afterwards; value: milliseconds between (50).',
  'unknown-fields': 'Adds unknown fields to the post and to the answer.',
  'closed-connection': 'Does everything, then cuts the connection instead of answering.',
  'closed-early': 'Cuts the connection before it does anything.',
  'slow-body': 'Sends the body of the post in pieces; value: milliseconds that it takes (200).',
  'odd-charset': 'Posts with another charset in its Content-Type; value: the charset (ISO-8859-1).',
  denied: 'Answers 400; value: the result code (999).',
  'error-500': 'Answers 500 and does nothing. Also: 500.',
  expiry: 'What is issued has expired at once; what is used has expired just now.',
  hold: 'Waits, before it works on the call, for POST /simulator/release.',
  'hold-answer': 'Does everything, then waits for POST /simulator/release before it answers.',
} as const;
export type FaultName = keyof typeof FAULTS;

/** The faults of one call, each with its value, if any. */
export type Faults = ReadonlyMap<FaultName, string | undefined>;

/** A planned fault. */
export interface PlannedFault {
  fault: FaultName;
  value?: string | undefined;
  /** The target call, e.g. `scheduleEdits.begin`; any call if absent. */
  call?: string | undefined;
  /** Number of calls that the fault still applies to. */
  times: number;
}

/** Returns the name of a fault; undefined for an unknown name. */
export function faultName(text: string): FaultName | undefined {
  const name = text === '500' ? 'error-500' : text;
  return Object.hasOwn(FAULTS, name) ? (name as FaultName) : undefined;
}

/** Parses `no-post, delay=300`. Unknown names are ignored. */
export function faultsInHeader(header: string | undefined): [FaultName, string | undefined][] {
  return (header ?? '').split(',').flatMap((part) => {
    const [text = '', value] = part.split('=', 2).map((piece) => piece.trim());
    const name = faultName(text);
    return name === undefined ? [] : [[name, value]];
  });
}

export class FaultPlan {
  #planned: PlannedFault[] = [];

  add(fault: PlannedFault): void {
    this.#planned.push(fault);
  }

  clear(): void {
    this.#planned = [];
  }

  list(): PlannedFault[] {
    return this.#planned.map((fault) => ({ ...fault }));
  }

  /** Returns the planned faults for a call, and counts one use of each. */
  takeFor(call: string): [FaultName, string | undefined][] {
    const hits = this.#planned.filter((planned) => planned.call === undefined || planned.call === call);
    for (const hit of hits) hit.times -= 1;
    this.#planned = this.#planned.filter((planned) => planned.times > 0);
    return hits.map(({ fault, value }) => [fault, value]);
  }
}
