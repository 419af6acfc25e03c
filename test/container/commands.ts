/** The commands of a run: their output, their progress, and their end with the run. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const MAX_TOLD_CHARACTERS = 4_000;

export interface Running {
  env?: Record<string, string>;
  /** Called with each line of both streams. */
  line?: (line: string) => void;
}

export class Commands {
  readonly #running = new Set<ChildProcess>();
  readonly #folder: string;

  /** @param folder where they run */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Runs a command to its end. Returns its stdout.
   * @throws Error with the end of its output, when it fails
   */
  async run([command = '', ...args]: readonly string[], { env = {}, line }: Running = {}): Promise<string> {
    // Its own process group: a Ctrl-C must not reach the clean-up commands.
    const child = spawn(command, args, {
      cwd: this.#folder,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    this.#running.add(child);
    let out = '';
    let told = '';
    child.stdout.on('data', (data) => {
      out += data;
    });
    for (const stream of [child.stdout, child.stderr]) {
      createInterface(stream).on('line', (text) => {
        told = `${told}${text}\n`.slice(-MAX_TOLD_CHARACTERS);
        line?.(text);
      });
    }
    try {
      const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
      if (code !== 0) throw new Error(`${command} ${args.join(' ')}: ended with ${code ?? signal}\n${told}`);
      return out.trim();
    } finally {
      this.#running.delete(child);
    }
  }

  /** True when a command exists and succeeds. */
  async works(...command: string[]): Promise<boolean> {
    return this.run(command).then(
      () => true,
      () => false,
    );
  }

  /** The first line of each version output. */
  async versions(...commands: string[][]): Promise<string[]> {
    return Promise.all(commands.map(async (command) => (await this.run(command)).split('\n')[0] ?? ''));
  }

  /** Ends the running commands with their children. Resolves when they have ended. */
  async end(): Promise<void> {
    const gone = [...this.#running].map((child) => once(child, 'close').catch(() => undefined));
    for (const { pid } of this.#running) {
      if (pid !== undefined) endGroup(pid);
    }
    await Promise.all(gone);
  }
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGTERM');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
