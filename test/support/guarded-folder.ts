import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// Each line is the pid of the process in the folder, or empty. The end of file comes however our
// own process ends. Then the shell kills that pid and removes the folder, a second later because a
// killed process may still write.
const GUARD_SCRIPT = `
  while read -r line; do pid=$line; done
  if [ -n "$pid" ]; then kill -KILL "$pid"; sleep 1; fi
  rm -rf -- "$1"
`;

/**
 * A temporary folder for a process. Its guard is a shell at the other end of a pipe: neither the
 * folder nor the process survives this process, even if it is killed.
 */
export class GuardedFolder {
  readonly path: string;
  readonly #guard: ChildProcess;
  readonly #removed: Promise<unknown>;

  private constructor(path: string) {
    this.path = path;
    this.#guard = spawn('sh', ['-c', GUARD_SCRIPT, 'guard', path], {
      // Its own process group: a Ctrl-C that ends us must not end the guard.
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.#removed = once(this.#guard, 'close');
  }

  static async make(prefix: string): Promise<GuardedFolder> {
    return new GuardedFolder(await mkdtemp(join(tmpdir(), prefix)));
  }

  /**
   * Sets the process of the folder. `undefined` when it has ended: another process may get its pid.
   */
  occupiedBy(pid: number | undefined): void {
    this.#guard.stdin?.write(`${pid ?? ''}\n`);
  }

  /** Resolves when the folder is removed. */
  async remove(): Promise<void> {
    this.#guard.stdin?.end();
    await this.#removed;
  }
}
