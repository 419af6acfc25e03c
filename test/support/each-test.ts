/** Runs around every test of every file. */
import { afterEach, beforeEach } from 'vitest';
import { expectClosedSince, type Opened, opened, watchTimers } from './leaks.ts';

let before: Opened;

watchTimers();

// These hooks come first before a test, and last after it: what a file's own hooks open and close lies between them.
beforeEach(() => {
  before = opened();
});

afterEach(() => expectClosedSince(before));
