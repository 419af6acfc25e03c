/**
 * Grouped bars as SVG: the median as a bar, the range as a line. Readable on light and dark pages.
 */
import type { Plot } from './scenario.ts';
import { shown } from './table.ts';

const COLORS = ['#7a8793', '#b3bcc4', '#2f7ed8', '#e08a1e', '#3a9d5d', '#9a5fc9'];
const WIDTH = 860;
const HEIGHT = 380;
const LEFT = 70;
const TOP = 78;
const BOTTOM = 40;
const STYLE = `text{font:12px system-ui,sans-serif;fill:#57606a}.t{font-size:15px;fill:#24292f}.g{stroke:#8c959f;stroke-opacity:.3}.r{stroke:#24292f;stroke-opacity:.65}
@media(prefers-color-scheme:dark){text{fill:#9aa4af}.t{fill:#e6edf3}.r{stroke:#e6edf3}}`;

export function svgOf({ title, unit, groups, series }: Plot): string {
  const most = niceTop(Math.max(...series.flatMap(({ values }) => values.map((value) => value?.median ?? 0))));
  const high = HEIGHT - TOP - BOTTOM;
  const y = (value: number): number => round(TOP + high - (Math.min(value, most * 1.06) / most) * high);
  const groupWidth = (WIDTH - LEFT - 10) / groups.length;
  const barWidth = (groupWidth * 0.84) / series.length;
  const parts: string[] = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(title)}">`,
    `<style>${STYLE}</style>`,
    `<text class="t" x="12" y="24">${escaped(title)} (${escaped(unit)})</text>`,
  ];
  let legendX = 12;
  for (const [i, { name }] of series.entries()) {
    parts.push(`<rect x="${legendX}" y="40" width="11" height="11" rx="2" fill="${colorOf(i)}"/>`);
    parts.push(`<text x="${legendX + 16}" y="50">${escaped(name)}</text>`);
    legendX += 34 + name.length * 6.6;
  }
  for (let step = 0; step <= 4; step++) {
    const value = (most / 4) * step;
    parts.push(`<line class="g" x1="${LEFT}" x2="${WIDTH - 10}" y1="${y(value)}" y2="${y(value)}"/>`);
    parts.push(`<text x="${LEFT - 8}" y="${y(value) + 4}" text-anchor="end">${shown(value)}</text>`);
  }
  for (const [g, group] of groups.entries()) {
    const left = LEFT + g * groupWidth;
    parts.push(
      `<text x="${round(left + groupWidth / 2)}" y="${HEIGHT - 16}" text-anchor="middle">${escaped(group)}</text>`,
    );
    for (const [i, { name, values }] of series.entries()) {
      const value = values[g];
      if (value === undefined) continue;
      const x = round(left + groupWidth * 0.08 + i * barWidth);
      const middle = round(x + barWidth / 2 - 1);
      parts.push(
        `<rect x="${x}" y="${y(value.median)}" width="${round(barWidth - 2)}" height="${round(y(0) - y(value.median))}" fill="${colorOf(i)}"><title>${escaped(name)}: ${shown(value.median)} ${escaped(unit)} (${shown(value.least)}–${shown(value.most)})</title></rect>`,
        `<line class="r" x1="${middle}" x2="${middle}" y1="${y(value.least)}" y2="${y(value.most)}"/>`,
      );
    }
  }
  return `${parts.join('\n')}\n</svg>\n`;
}

function colorOf(i: number): string {
  return COLORS[i % COLORS.length] as string;
}

function niceTop(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value || 1));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= value) ?? value;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
