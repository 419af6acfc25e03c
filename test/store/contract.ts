/**
 * The contract of a token store as one suite of tests, run by every implementation. It knows no clock but the real one,
 * for some stores have their own: times are short, what takes time is polled for, and nothing asserts speed.
 */
import { describe } from 'vitest';
import { type Case, casesOf, type Implementation } from './contract/bench.ts';
import { describeClaims } from './contract/claims.ts';
import { describeConcurrency } from './contract/concurrency.ts';
import { describeExpectations } from './contract/expectations.ts';
import { describeExpiry } from './contract/expiry.ts';
import { describeHints } from './contract/hints.ts';
import { describeLeases } from './contract/leases.ts';
import { describeSettling } from './contract/settling.ts';
import { describeTokens } from './contract/tokens.ts';

export type { Implementation } from './contract/bench.ts';

const PARTS = {
  tokens: describeTokens,
  claims: describeClaims,
  leases: describeLeases,
  settling: describeSettling,
  expectations: describeExpectations,
  expiry: describeExpiry,
  hints: describeHints,
  concurrency: describeConcurrency,
};

export type Part = keyof typeof PARTS;

/** All of the contract, or the parts in which an implementation can differ from one that keeps all of it; but for some cases. */
export function describeStoreContract(
  name: string,
  implementation: Implementation,
  parts: readonly Part[] = Object.keys(PARTS) as Part[],
  except: ReadonlySet<string> = new Set(),
): void {
  describe(`${name} keeps the contract of a store`, () => {
    const all = casesOf(implementation);
    const test: Case = (name, ...rest) => {
      if (!except.has(name)) all(name, ...rest);
    };
    for (const part of parts) describe(part, () => PARTS[part](test));
  });
}
