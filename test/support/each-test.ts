/** Runs around every test of every file, and around each file. */
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { expectClosedSince, type Opened, opened, watchTimers } from './leaks.ts';

let beforeFile: Opened;
let before: Opened;

watchTimers();

// These hooks come first before a test, and last after it: what a file's own hooks open and close lies between them.
beforeAll(() => {
  beforeFile = opened();
});

beforeEach(() => {
  before = opened();
});

// Of tests that run at once nobody can tell which one opened what: they are looked at together, when the file ends.
afterEach(async ({ task }) => {
  if (task.concurrent !== true && task.result?.state !== 'fail') await expectClosedSince(before);
});

afterAll(() => expectClosedSince(beforeFile));
