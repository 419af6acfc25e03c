/**
 * Runs tests as vitest does, but reports one error of what failed: the first one. What a failed hook or test leaves undone
 * or open makes the hooks that clean up fail, too, and theirs would hide the cause.
 */
import { type RunnerTask, type RunnerTestSuite, TestRunner } from 'vitest';

export default class FirstErrorRunner extends TestRunner {
  override async onAfterRunSuite(suite: RunnerTestSuite): Promise<void> {
    await super.onAfterRunSuite(suite);
    suite.result?.errors?.splice(suite.tasks.some(({ result }) => result?.state === 'fail') ? 0 : 1);
  }

  override onAfterRunTask(test: RunnerTask): void {
    super.onAfterRunTask(test);
    test.result?.errors?.splice(1);
  }
}
