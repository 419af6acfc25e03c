import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// Each line is the pid that now works in the folder, or empty if none does. At the end of file, which comes however our
// own process ends, that pid is killed and the folder removed, a second later because a killed process may still write.
const GUARD_SCRIPT = `
  while read -r line; do pid=$line; done
  if [ -n "$pid" ]; then kill -KILL "$pid"; sleep 1; fi
  rm -rf -- "$1"
`;

/**
 * A temporary folder for a process to work in. Its guard is a shell at the other end of a pipe of ours: neither the
 * folder nor the process outlives us, even if we are killed.
 */
export class GuardedFolder {
  readonly path: string;
  readonly #guard: ChildProcess;
  readonly #removed: Promise<unknown>;

  private constructor(path: string) {
    this.path = path;
    this.#guard = spawn('sh', ['-c', GUARD_SCRIPT, 'guard', path], {
      // Of a process group of its own, so that a Ctrl-C that ends us does not end it.
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.#removed = once(this.#guard, 'close');
  }

  static async make(prefix: string): Promise<GuardedFolder> {
    return new GuardedFolder(await mkdtemp(join(tmpdir(), prefix)));
  }

  /** Says which process works in the folder; `undefined` when it has ended, for its pid may then become another's. */
  occupiedBy(pid: number | undefined): void {
    this.#guard.stdin?.write(`${pid ?? ''}\n`);
  }

  /** Resolves when the folder is gone. */
  async remove(): Promise<void> {
    this.#guard.stdin?.end();
    await this.#removed;
  }
}
