/** Durations and numbers as text for people. */

const UNITS: readonly (readonly [string, number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
];

/** Formats in the largest unit that fits, with one decimal below ten: `3.2 s`, `14 ms`, `2 h`. */
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

/** Number formats of each language. Created once: a format costs far more to create than to use. */
const formats = new Map<string, Intl.NumberFormat>();

export function numberText(value: number, language: string, digits = 0): string {
  const name = `${language} ${digits}`;
  const format = formats.get(name) ?? new Intl.NumberFormat(language, { maximumFractionDigits: digits });
  formats.set(name, format);
  return format.format(value);
}
