/** Hooks around every test, and around each file. */
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { expectClosedSince, type Opened, opened, watchTimers } from './leaks.ts';

let beforeFile: Opened;
let before: Opened;

watchTimers();

// These hooks run first before a test, and last after it. A file's own hooks run between them.
beforeAll(() => {
  beforeFile = opened();
});

beforeEach(() => {
  before = opened();
});

// Resources cannot be assigned to one of several concurrent tests. Check those tests together, at
// the end of the file.
afterEach(async ({ task }) => {
  if (task.concurrent !== true && task.result?.state !== 'fail') await expectClosedSince(before);
});

afterAll(() => expectClosedSince(beforeFile));
