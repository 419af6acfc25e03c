/** Every Markdown file of the project: its links, headings, files and commands exist. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../support/build.ts';

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const DOCUMENTS = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], { cwd: ROOT })
  .toString()
  .trim()
  .split('\n');

/** Without code blocks: they have no links or headings. */
const prose = (text: string): string => text.replaceAll(/^ *```.*?^ *```$/gms, '');

/** The anchors that GitHub gives the headings of a document. */
function anchorsOf(path: string): string[] {
  const headings = [...prose(read(path)).matchAll(/^#{1,6} (.*)$/gm)].map(([, heading = '']) => heading);
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

it('finds the documents and their headings', () => {
  expect(DOCUMENTS.length).toBeGreaterThan(12);
  expect(anchorsOf('README.md')).toContain('which-call-for-which-service');
});

describe.each(DOCUMENTS)('%s', (path) => {
  const text = read(path);

  it('links only to existing files and headings', () => {
    const targets = [...prose(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
    const broken = targets.filter((target) => {
      if (/^[a-z]+:/.test(target)) return false;
      const [file = '', anchor] = target.split('#');
      const to = file === '' ? path : normalize(join(dirname(path), file));
      if (!existsSync(join(ROOT, to))) return true;
      return anchor !== undefined && !anchorsOf(to).includes(anchor);
    });
    expect(broken).toEqual([]);
  });

  it('names only existing files and commands', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const files = [...text.matchAll(/`((?:src|test|docs|examples|deploy)\/[\w./-]+\.\w+)`/g)].map(
      ([, file = '']) => file,
    );
    expect(files.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
    const named = [...text.matchAll(/\bnpm (?:run ([a-z]+(?::[a-z]+)*)|(start|test)\b)/g)].map(
      ([, run, short]) => run ?? short ?? '',
    );
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });

  it('has only https addresses, except in examples', () => {
    const plain = [...text.matchAll(/\]\((http:[^)]*)\)/g)].map(([, target]) => target);
    expect(plain).toEqual([]);
  });
});
