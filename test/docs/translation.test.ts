/**
 * The Portuguese documents have the headings, code blocks, tables, names and links of the English
 * ones.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { VARIABLE_DEFAULTS } from '../../src/config/config.ts';
import { ROOT } from '../support/build.ts';

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const PAIRS = [
  ['README.md', 'README.pt-BR.md'],
  ['docs/api.md', 'docs/pt-BR/api.md'],
  ['docs/flows.md', 'docs/pt-BR/flows.md'],
  ['docs/languages.md', 'docs/pt-BR/languages.md'],
  ['docs/going-live.md', 'docs/pt-BR/going-live.md'],
  ['docs/operations.md', 'docs/pt-BR/operations.md'],
  ['docs/semantics.md', 'docs/pt-BR/semantics.md'],
  ['docs/deployment.md', 'docs/pt-BR/deployment.md'],
  ['docs/operator-page.md', 'docs/pt-BR/operator-page.md'],
  ['docs/cli.md', 'docs/pt-BR/cli.md'],
  ['docs/client.md', 'docs/pt-BR/client.md'],
] as const;

const BLOCK = /^ *```.*?^ *```$/gms;
const blocks = (text: string): string[] => [...text.matchAll(BLOCK)].map(([block]) => block);
const prose = (text: string): string => text.replaceAll(BLOCK, '');
const levels = (text: string): string[] => [...prose(text).matchAll(/^(#+) /gm)].map(([, level = '']) => level);
const rows = (text: string): string[] =>
  prose(text)
    .split('\n')
    .filter((line) => line.startsWith('|'));
const items = (text: string): string[] => [...prose(text).matchAll(/^ *(-|\d+\.) /gm)].map(([, mark = '']) => mark);

/** Names in code that are not translated: options, metrics, commands, paths, codes. */
function names(text: string): string[] {
  const code = [...prose(text).matchAll(/`([^`\n]+)`/g)].map(([, name = '']) => name);
  return code
    .filter((name) =>
      /^(?:[A-Z][A-Z_]{3,}|carat_\w+.*|npm .*|node .*|openssl .*|\/[\w/.]+|[a-z]+(?:_[a-z]+)+|\d{3}(?: \w+)?)$/.test(
        name,
      ),
    )
    .sort();
}
/** The targets of links. A translated document links to translated ones. */
function targets(text: string): string[] {
  return [...prose(text).matchAll(/\]\(([^)\s#]+)/g)]
    .map(([, target = '']) => target.split('/').at(-1)?.replace('.pt-BR', '') ?? '')
    .sort();
}

describe.each(PAIRS)('%s and %s', (english, portuguese) => {
  const [en, pt] = [read(english), read(portuguese)];

  it('are in two languages', () => {
    const words = (text: string, word: RegExp): number => prose(text).match(word)?.length ?? 0;
    expect(words(pt, /\b(?:não|é|são|você|uma|um|que|para|com|dos?|das?|em)\b/g)).toBeGreaterThan(10);
    expect(words(pt, /\b(?:the|which|is answered|and the)\b/g)).toBeLessThan(3);
  });

  it('have the same headings, by level, and the same lists', () => {
    expect(levels(pt)).toEqual(levels(en));
    expect(items(pt)).toEqual(items(en));
  });

  it('have the same blocks of code', () => {
    expect(blocks(pt)).toEqual(blocks(en));
  });

  it('have the same tables, row by row and cell by cell', () => {
    const cells = (line: string): number => line.split(/(?<!\\)\|/).length;
    expect(rows(pt).map(cells)).toEqual(rows(en).map(cells));
  });

  it('name the same options, metrics, commands, paths and codes', () => {
    expect(names(pt)).toEqual(names(en));
  });

  it('link to the same documents', () => {
    expect(targets(pt).filter((target) => target !== 'README.md')).toEqual(
      targets(en).filter((target) => target !== 'README.md'),
    );
  });
});

it('the Portuguese README has every variable with its default', () => {
  const found = [...read('README.pt-BR.md').matchAll(/^\| `([A-Z_]+)` \| (?:`([^`]*)`)? ?\|/gm)];
  expect(found.map(([, name, value = '']) => [name, value])).toEqual([...VARIABLE_DEFAULTS]);
});
