#!/usr/bin/env node
/** The command line: finds and runs the command, and turns an error into one line and an exit code. */
import process from 'node:process';
import { isWorkerError } from '../client/index.ts';
import { nearest } from '../config/nearest.ts';
import { VERSION } from '../config/version.ts';
import { ask, recharge } from './ask.ts';
import { claim, release, used } from './claim.ts';
import { type Command, EXIT, helpOf, read, UsageError } from './command.ts';
import { doctor } from './doctor/command.ts';
import { health } from './health.ts';
import { listen } from './listen.ts';
import { send } from './send.ts';
import { serve, simulator } from './serve.ts';
import { tail } from './tail.ts';
import { type Console, painter } from './terminal.ts';
import { wait } from './wait.ts';
import { exitOf } from './worker.ts';

const PROGRAM = 'carat-authenticity';
/** Time that an interrupted command may take to clean up. */
const INTERRUPT_GRACE_MS = 2000;
const COMMANDS: readonly Command[] = [
  ...[serve, simulator, send, wait, claim, used, release],
  ...[listen, ask, recharge, tail, health, doctor],
];

const stop = new AbortController();
const terminal: Console = {
  env: process.env,
  signal: stop.signal,
  out: (line) => process.stdout.write(`${line}\n`),
  error: (line) => process.stderr.write(`${line}\n`),
  paint: painter(process.stdout.isTTY === true && process.stderr.isTTY === true, process.env),
};
// A reader such as `head` may close the pipe.
process.stdout.on('error', () => process.exit(EXIT.ok));

function overview(): string {
  const lines = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(10)} ${summary}`);
  return [
    "Receives Carat's authenticity posts and hands each token to the worker that waits for it.",
    `\nUsage: ${PROGRAM} COMMAND [options]\n\nCommands:\n${lines.join('\n')}`,
    `\n${PROGRAM} COMMAND --help shows more. Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 nothing came in time,`,
    '4 the service or Carat cannot be reached, 5 the key is not let in, 6 the token is gone or held by another, or the',
    'other decision stands, 130 interrupted.',
  ].join('\n');
}

async function main([name, ...rest]: string[]): Promise<number> {
  if (name === undefined) {
    terminal.error(overview());
    return EXIT.usage;
  }
  if (['help', '--help', '-h'].includes(name) && rest.length === 0) {
    terminal.out(overview());
    return EXIT.ok;
  }
  if (name === '--version' && rest.length === 0) {
    terminal.out(VERSION);
    return EXIT.ok;
  }
  const command = COMMANDS.find((one) => one.name === (name === 'help' ? rest[0] : name));
  if (command === undefined) {
    const close = nearest(
      name,
      COMMANDS.map((one) => one.name),
    );
    throw new UsageError(
      `unknown command "${name}"${close === undefined ? `; see ${PROGRAM} --help` : `; did you mean ${close}?`}`,
    );
  }
  if (name === 'help' || rest.includes('--help') || rest.includes('-h')) {
    terminal.out(helpOf(PROGRAM, command));
    return EXIT.ok;
  }
  const args = read(command, rest);
  // These two commands are whole processes with their own signal handlers.
  if (command !== serve && command !== simulator) {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interrupt(command));
  }
  finishes = command.finishesWithinMs !== undefined;
  return command.run(args, terminal);
}

/** Interrupts the command once: a terminal and npm both send the signal. */
function interrupt({ finishesWithinMs = INTERRUPT_GRACE_MS }: Command): void {
  stop.abort();
  setTimeout(() => process.exit(EXIT.interrupted), finishesWithinMs).unref();
}

function printError(error: unknown, exit: number): void {
  const message = error instanceof Error ? error.message : String(error);
  const report = { error: isWorkerError(error) ? error.code : exit === EXIT.usage ? 'usage' : 'failed', message, exit };
  terminal.error(process.argv.includes('--json') ? JSON.stringify(report) : `${PROGRAM}: ${message}`);
}

let exit: number;
let finishes = false;
try {
  exit = await main(process.argv.slice(2));
} catch (error) {
  exit = exitOf(error);
  if (!stop.signal.aborted || finishes) printError(error, exit);
}
process.exitCode = stop.signal.aborted && !finishes ? EXIT.interrupted : exit;
