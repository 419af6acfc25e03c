/** The plots, drawn by the server as inline SVG: shapes and classes only. The style sheet has the colours. */
import { durationText } from './durations.ts';
import { Html, html } from './html.ts';
import type { Texts } from './texts/en.ts';
import { HANDOVER_BOUNDS_MS, type Minute, SERIES } from './view.ts';

const WIDTH = 420;
const HEIGHT = 170;
/** Space for the labels of the axes. */
const LEFT = 36;
const BOTTOM = 22;
const TOP = 8;
const MINUTE_MS = 60_000;
const PLOT_WIDTH = WIDTH - LEFT;
const PLOT_HEIGHT = HEIGHT - BOTTOM - TOP;

/** Draws one bar a minute, stacked by the outcome of posts. */
export function postsPlot(minutes: readonly Minute[], t: Texts): Html {
  const totals = minutes.map(({ posts }) => SERIES.reduce((sum, name) => sum + posts[name], 0));
  const top = niceTop(Math.max(...totals));
  const step = PLOT_WIDTH / minutes.length;
  const bars: string[] = [];
  for (const [at, { posts }] of minutes.entries()) {
    let below = 0;
    for (const name of SERIES) {
      const count = posts[name];
      if (count === 0) continue;
      const y = yOf(below + count, top);
      bars.push(rect(`s-${name}`, LEFT + at * step, y, Math.max(step - 0.4, 1), yOf(below, top) - y));
      below += count;
    }
  }
  const total = totals.reduce((sum, count) => sum + count, 0);
  const label = `${t.plots.posts}: ${t.plots.postsWhy(total, spanOf(minutes, t))}; ${t.plots.perMinute} ${Math.max(...totals)}`;
  return svg(label, [grid(top), ...bars, timeAxis(minutes, t)].join(''));
}

/** Draws waiters and pending tokens as two lines. */
export function waitersPlot(minutes: readonly Minute[], t: Texts): Html {
  const most = Math.max(...minutes.flatMap(({ waiters, pending }) => [waiters, pending]));
  const top = niceTop(most);
  const step = PLOT_WIDTH / Math.max(minutes.length - 1, 1);
  const line = (name: 'waiters' | 'pending'): string => {
    const points = minutes.map((minute, at) => `${round(LEFT + at * step)},${round(yOf(minute[name], top))}`).join(' ');
    return `<polyline class="l-${name}" points="${points}"/>`;
  };
  const label = `${t.plots.waiters}: ${t.plots.most} ${most}`;
  return svg(
    label,
    [
      grid(top),
      minutes.some(({ pending }) => pending > 0) ? line('pending') : '',
      line('waiters'),
      timeAxis(minutes, t),
    ].join(''),
  );
}

/** Draws handovers by duration, on a logarithmic scale of time. */
export function handoverPlot(counts: readonly number[], t: Texts): Html {
  const top = niceTop(Math.max(...counts));
  const step = PLOT_WIDTH / counts.length;
  const bars = counts.map((count, at) =>
    count === 0
      ? ''
      : rect('s-handover', LEFT + at * step + 2, yOf(count, top), step - 4, HEIGHT - BOTTOM - yOf(count, top)),
  );
  const labels = HANDOVER_BOUNDS_MS.map((bound, at) =>
    at % 2 === 0 ? text(LEFT + (at + 1) * step, HEIGHT - 5, 'middle', durationText(bound, t.lang)) : '',
  );
  const total = counts.reduce((sum, count) => sum + count, 0);
  return svg(`${t.plots.handover}: ${t.plots.handoverWhy(total)}`, [grid(top), ...bars, ...labels].join(''));
}

/** Formats the bound below which this share of the handovers lies. */
export function quantileText(counts: readonly number[], share: number, t: Texts): string {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return '–';
  let seen = 0;
  for (const [at, count] of counts.entries()) {
    seen += count;
    if (seen >= total * share) {
      const bound = HANDOVER_BOUNDS_MS[at];
      return bound === undefined
        ? `> ${durationText(HANDOVER_BOUNDS_MS.at(-1) ?? 0, t.lang)}`
        : durationText(bound, t.lang);
    }
  }
  return '–';
}

/** Formats the span of the plots. */
export function spanOf(minutes: readonly Minute[], t: Texts): string {
  return durationText(minutes.length * MINUTE_MS, t.lang);
}

function svg(label: string, shapes: string): Html {
  return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${label}">${new Html(shapes)}</svg>`;
}

/** Draws lines at zero, half and the top, with their figures. */
function grid(top: number): string {
  return [0, top / 2, top]
    .map((value) => {
      const y = round(yOf(value, top));
      const figure = Number.isInteger(value) ? text(LEFT - 6, y + 4, 'end', compact(value)) : '';
      return `<line class="grid" x1="${LEFT}" x2="${WIDTH}" y1="${y}" y2="${y}"/>${figure}`;
    })
    .join('');
}

function timeAxis(minutes: readonly Minute[], t: Texts): string {
  // Two hours are halved, every other span is a multiple of three.
  const parts = minutes.length === 120 ? 2 : 3;
  const marks: string[] = [];
  for (let part = parts; part >= 0; part -= 1) {
    const x = LEFT + PLOT_WIDTH * (1 - part / parts);
    const anchor = part === parts ? 'start' : part === 0 ? 'end' : 'middle';
    const ago = durationText((minutes.length / parts) * part * MINUTE_MS, t.lang);
    marks.push(text(x, HEIGHT - 5, anchor, part === 0 ? t.plots.now : t.plots.ago(ago)));
  }
  return marks.join('');
}

/** Accepts only figures and our own words. */
function text(x: number, y: number, anchor: string, words: string): string {
  return html`<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${words}</text>`.text;
}

function rect(name: string, x: number, y: number, width: number, height: number): string {
  return `<rect class="${name}" x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}"/>`;
}

function yOf(value: number, top: number): number {
  return TOP + PLOT_HEIGHT * (1 - value / top);
}

/** Returns the next round figure: the axis is readable and does not jump at each post. */
function niceTop(most: number): number {
  for (let unit = 1; ; unit *= 10) for (const step of [2, 4, 10]) if (unit * step >= most) return unit * step;
}

function compact(value: number): string {
  return value >= 1000 ? `${value / 1000}k` : String(value);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
