/**
 * Loaded before the service (`node --import`): shifts the wall clock of the process by the
 * milliseconds in a file. Monotonic time and timers stay unchanged, as when somebody sets the clock
 * of a machine.
 */
import { readFileSync } from 'node:fs';

const RealDate = Date;
const file = process.env['CLOCK_FILE'];
const now = () => RealDate.now() + Number(readFileSync(file, 'utf8'));

globalThis.Date = class extends RealDate {
  constructor(...args) {
    super(...(args.length === 0 ? [now()] : args));
  }

  static now() {
    return now();
  }
};
