/** The output of a command, and its environment. */
export interface Console {
  env: Readonly<Record<string, string | undefined>>;
  /** Aborts at SIGINT and SIGTERM. */
  signal: AbortSignal;
  out(line: string): void;
  error(line: string): void;
  paint: Paint;
}

export type Paint = (colour: 'red' | 'green' | 'yellow' | 'dim' | 'bold', text: string) => string;

const CODES = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1 } as const;

/** Returns colours for a terminal only, and never with NO_COLOR. */
export function painter(isTerminal: boolean, env: Readonly<Record<string, string | undefined>>): Paint {
  const noColour = (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb';
  if (!isTerminal || noColour) return (_colour, text) => text;
  return (colour, text) => `\u001b[${CODES[colour]}m${text}\u001b[0m`;
}

/** Makes foreign text safe for a terminal: control characters must not move its cursor. */
export function plain(text: string): string {
  return text.replace(/\p{Cc}/gu, ' ');
}
