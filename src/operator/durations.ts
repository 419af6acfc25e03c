/** Durations as a person reads them. */
import { numberText } from './numbers.ts';

const UNITS: readonly (readonly [string, number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
];

/** The largest unit that fits, with one decimal below ten: `3.2 s`, `14 ms`, `2 h`. */
export function durationText(ms: number, language: string): string {
  for (const [unit, size] of UNITS) {
    if (ms >= size) {
      const value = ms / size;
      const digits = value < 10 && unit === 's' ? 1 : 0;
      const shown = digits === 0 ? Math.floor(value) : value;
      return `${numberText(shown, language, digits)} ${unit}`;
    }
  }
  return `${Math.max(0, Math.round(ms))} ms`;
}
