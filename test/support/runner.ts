/**
 * Runs tests like vitest, but reports only the first error of a failure. A failed hook or test
 * often makes the clean-up hooks fail, and their errors would hide the cause.
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
