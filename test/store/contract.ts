/**
 * The contract of a token store as one test suite for every implementation. It uses only real time,
 * because some stores have their own clock: times are short, slow steps are polled, and no test
 * asserts speed.
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

/**
 * Runs the whole contract, or only the parts in which an implementation differs from a complete
 * one. Excludes some cases.
 */
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
