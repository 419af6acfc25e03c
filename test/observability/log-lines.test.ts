/** The buffer of the log: nothing is lost or comes in another order, however it is emptied. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LogLines } from '../../src/observability/log-lines.ts';

let written: string[];
let flushed: string[];
let lines: LogLines;
beforeEach(() => {
  vi.useFakeTimers();
  written = [];
  flushed = [];
  lines = new LogLines({
    write: (text) => written.push(text),
    flush: (done) => {
      flushed.push('later');
      done();
    },
    flushSync: () => flushed.push('at once'),
  });
});
afterEach(() => void vi.useRealTimers());

describe('lines of the log', () => {
  it('go out together after a moment', () => {
    lines.write('a\n');
    vi.advanceTimersByTime(99);
    lines.write('b\n');
    expect(written).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(written).toEqual(['a\nb\n']);
    lines.write('c\n');
    vi.advanceTimersByTime(100);
    expect(written).toEqual(['a\nb\n', 'c\n']);
    vi.advanceTimersByTime(1000);
    expect(written).toHaveLength(2);
  });

  it('go out when there are many, whatever the time', () => {
    const line = `${'x'.repeat(1023)}\n`;
    for (let at = 0; at < 130; at++) lines.write(line);
    expect(written).toEqual([line.repeat(64), line.repeat(64)]);
    vi.advanceTimersByTime(100);
    expect(written.join('')).toBe(line.repeat(130));
  });

  it('go out when the log is flushed, and when the process ends', () => {
    lines.write('a\n');
    const done = vi.fn();
    lines.flush(done);
    expect([written, flushed]).toEqual([['a\n'], ['later']]);
    expect(done).toHaveBeenCalledOnce();
    lines.write('b\n');
    lines.flushSync();
    expect([written, flushed]).toEqual([
      ['a\n', 'b\n'],
      ['later', 'at once'],
    ]);
    vi.advanceTimersByTime(1000);
    expect(written).toHaveLength(2);
  });
});
