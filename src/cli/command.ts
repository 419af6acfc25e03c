/** Commands: their definition, the parsing of arguments, and the help. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { nearest } from '../config/nearest.ts';
import type { Console } from './terminal.ts';

/** Documented in docs/cli.md. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  nothingCame: 3,
  unreachable: 4,
  notLetIn: 5,
  gone: 6,
  interrupted: 130,
} as const;

export interface Option {
  type: 'string' | 'boolean';
  short?: string;
  /** The placeholder of its value in the help. */
  value?: string;
  help: string;
}

export interface Arguments {
  values: Readonly<Record<string, string | boolean | undefined>>;
  positionals: readonly string[];
}

export interface Command {
  name: string;
  summary: string;
  /** The arguments after the name and the options. */
  positional?: string;
  options: Readonly<Record<string, Option>>;
  /** More text for the help: examples, special cases. */
  more?: string;
  /**
   * Milliseconds that the command may work on after SIGTERM or SIGINT; its own exit code then
   * counts. Without it, a command ends at once, with 130.
   */
  finishesWithinMs?: number;
  /** Runs the command and returns the exit code. */
  run(args: Arguments, terminal: Console): Promise<number>;
}

/** A wrong command line: one clear line, exit 2. */
export class UsageError extends Error {}

const COMMON: Readonly<Record<string, Option>> = {
  json: { type: 'boolean', help: 'One JSON object per line, for programs.' },
  help: { type: 'boolean', short: 'h', help: 'This help.' },
};

export const WORKER_OPTIONS: Readonly<Record<string, Option>> = {
  worker: {
    type: 'string',
    value: 'URL',
    help: 'The worker listener; default WORKER_URL, else WORKER_HOST and WORKER_PORT, as the service reads them.',
  },
  key: { type: 'string', value: 'KEY', help: 'A worker key; default WORKER_API_KEY, which no process list shows.' },
  merchant: { type: 'string', value: 'NAME', help: 'Whose; default "default".' },
};

/** @throws UsageError */
export function read({ name, options, positional }: Command, argv: readonly string[]): Arguments {
  const known = { ...options, ...COMMON };
  const config = Object.fromEntries(
    Object.entries(known).map(([key, { type, short }]) => [key, short === undefined ? { type } : { type, short }]),
  ) as NonNullable<ParseArgsConfig['options']>;
  const { tokens } = parseArgs({
    args: [...argv],
    options: config,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    const option = known[token.name];
    if (option === undefined)
      throw new UsageError(`${name}: unknown option ${token.rawName}${hint(token.name, known)}`);
    if (option.type === 'string' && (token.value === undefined || token.value === '')) {
      throw new UsageError(`${name}: ${token.rawName} needs a value: ${option.value ?? 'TEXT'}`);
    }
  }
  try {
    const { values, positionals } = parseArgs({ args: [...argv], options: config, allowPositionals: true });
    if (positional === undefined && positionals.length > 0) {
      throw new UsageError(`${name}: expected no argument, got ${JSON.stringify(positionals[0])}`);
    }
    return { values: values as Arguments['values'], positionals };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${name}: ${(error as Error).message.split('. ')[0]}`);
  }
}

function hint(given: string, known: object): string {
  const close = nearest(given, Object.keys(known));
  return close === undefined ? '' : `; did you mean --${close}?`;
}

export function helpOf(program: string, { name, summary, positional, options, more }: Command): string {
  const lines = Object.entries({ ...options, ...COMMON }).map(([option, { short, value, help }]) => {
    const shown = `${short === undefined ? '' : `-${short}, `}--${option}${value === undefined ? '' : ` ${value}`}`;
    return `  ${shown.padEnd(24)} ${help}`;
  });
  const usage = `${program} ${name} [options]${positional === undefined ? '' : ` ${positional}`}`;
  return `${summary}\n\nUsage: ${usage}\n\nOptions:\n${lines.join('\n')}\n${more === undefined ? '' : `\n${more}\n`}`;
}

export function text(args: Arguments, name: string): string | undefined {
  const value = args.values[name];
  return typeof value === 'string' ? value : undefined;
}

/** @throws UsageError for any other text than an HTTP address */
export function httpAddress(command: string, given: string | undefined): string {
  if (given !== undefined && /^https?:\/\//i.test(given) && URL.canParse(given)) return given;
  throw new UsageError(`${command}: expected an http or https address`);
}

/** @throws UsageError for any other text than a number within the limits */
export function seconds(args: Arguments, name: string, usual: number, most = 86_400): number {
  const given = text(args, name);
  const value = given === undefined ? usual : Number(given);
  if (!(value >= 0 && value <= most)) throw new UsageError(`--${name}: expected seconds, 0 to ${most}, got "${given}"`);
  return value * 1000;
}
