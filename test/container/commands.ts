/** The commands that a run starts: what they print, what they tell on the way, and their end when the run is ended. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const MAX_TOLD_CHARACTERS = 4_000;

export interface Running {
  env?: Record<string, string>;
  /** Told each line of both streams as it comes. */
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
   * Runs one to its end; gives what it wrote to stdout.
   * @throws Error with the end of what it wrote, when it fails
   */
  async run([command = '', ...args]: readonly string[], { env = {}, line }: Running = {}): Promise<string> {
    // In a group of its own: a Ctrl-C is ours to pass on, so that what cleans up is not hit by it.
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

  /** True when a command is there and succeeds. */
  async works(...command: string[]): Promise<boolean> {
    return this.run(command).then(
      () => true,
      () => false,
    );
  }

  /** The first line that each prints of its version. */
  async versions(...commands: string[][]): Promise<string[]> {
    return Promise.all(commands.map(async (command) => (await this.run(command)).split('\n')[0] ?? ''));
  }

  /** Ends those that run, with what they started. Resolves when they are gone. */
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
