/** Figures as text. */
import type { Figure, Report, Scenario } from './scenario.ts';

export function shown(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en');
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export function tableOf({ title }: Scenario, { figures, notes = [] }: Report): string {
  const rows = figures.map(cells);
  const head = ['', 'median', 'range', 'against', 'goal'];
  const widths = head.map((text, i) => Math.max(text.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (row: string[]): string =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd();
  return [`\n${title}\n`, line(head), ...rows.map(line), ...notes.map((note) => `· ${note}`)].join('\n');
}

function cells({ what, unit, median, least, most, against, goal }: Figure): string[] {
  const compared =
    against === undefined
      ? ''
      : `${against.ratio.median.toFixed(2)} × ${against.what} (${against.ratio.least.toFixed(2)}–${against.ratio.most.toFixed(2)})`;
  return [
    what,
    `${shown(median)} ${unit}`,
    least === most ? '' : `${shown(least)}–${shown(most)}`,
    compared,
    goal === undefined ? '' : `${goal.text}: ${goal.met ? 'met' : 'NOT met'}`,
  ];
}
