/**
 * The contract of a token store as one suite of tests, run by every implementation. It knows no clock but the real one,
 * for some stores have their own: times are short, what takes time is polled for, and nothing asserts speed.
 */
import { describe } from 'vitest';
import { casesOf, type Implementation } from './contract/bench.ts';
import { describeClaims } from './contract/claims.ts';
import { describeConcurrency } from './contract/concurrency.ts';
import { describeExpectations } from './contract/expectations.ts';
import { describeExpiry } from './contract/expiry.ts';
import { describeHints } from './contract/hints.ts';
import { describeLeases } from './contract/leases.ts';
import { describeSettling } from './contract/settling.ts';
import { describeTokens } from './contract/tokens.ts';

export type { Bed, BedOptions, Implementation } from './contract/bench.ts';

export function describeStoreContract(name: string, implementation: Implementation): void {
  describe(`${name} keeps the contract of a store`, () => {
    const test = casesOf(implementation);
    describe('tokens', () => describeTokens(test));
    describe('claims', () => describeClaims(test));
    describe('leases', () => describeLeases(test));
    describe('settling', () => describeSettling(test));
    describe('expectations', () => describeExpectations(test));
    describe('expiry', () => describeExpiry(test));
    describe('hints', () => describeHints(test));
    describe('concurrency', () => describeConcurrency(test));
  });
}
