/** Findings of the doctor, and their output. */
import { type Console, plain } from '../terminal.ts';

/** `unknown`: not observable from here. */
export type State = 'pass' | 'warn' | 'fail' | 'unknown';

export interface Finding {
  check: string;
  state: State;
  /** The observed facts. */
  seen: string;
  /** The correction, if one is needed. */
  mend?: string | undefined;
}

export interface Verdict {
  url: string;
  ok: boolean;
  findings: Finding[];
}

const MARKS = { pass: ['green', '✓'], warn: ['yellow', '!'], fail: ['red', '✗'], unknown: ['dim', '?'] } as const;

export function printVerdict({ url, ok, findings }: Verdict, { out, paint }: Console): void {
  const width = Math.max(...findings.map(({ check }) => check.length));
  out(paint('bold', plain(url)));
  for (const { check, state, seen, mend } of findings) {
    const [colour, mark] = MARKS[state];
    out(`${paint(colour, mark)} ${check.padEnd(width)} ${plain(seen)}`);
    if (mend !== undefined && state !== 'pass') out(`  ${' '.repeat(width)} ${paint('bold', `→ ${mend}`)}`);
  }
  const failed = findings.filter(({ state }) => state === 'fail').length;
  const warned = findings.filter(({ state }) => state === 'warn').length;
  const summary = ok
    ? paint(
        'green',
        `As far as can be seen from here, this URL satisfies Carat.${warned === 0 ? '' : ` ${warned} to look at.`}`,
      )
    : paint('red', `This URL does not satisfy Carat: ${failed} to mend.`);
  out(`\n${summary}`);
}
