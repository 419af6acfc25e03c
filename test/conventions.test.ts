/** Enforces the project's conventions: import directions, documented options and commands, file names. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { VARIABLE_DEFAULTS } from '../src/config/config.ts';
import { ROOT } from './support/build.ts';
import { IMPORTS, PACKAGES, PROCESS_USERS } from './support/import-table.ts';

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const SOURCES = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', 'src'], { cwd: ROOT })
  .toString()
  .split('\n')
  .filter((path) => path.endsWith('.ts'));

/** What a source imports: other sources by their path without ending, relative to `src`, and packages by name. */
function importsOf(path: string): { ours: string[]; packages: string[] } {
  const ours: string[] = [];
  const packages: string[] = [];
  for (const [, target = ''] of read(path).matchAll(/(?:\bfrom|^import|\bimport\()\s*'([\w@./:-]+)'/gm)) {
    if (target.startsWith('.')) ours.push(entry(join(dirname(path), target)));
    else packages.push(target);
  }
  return { ours, packages };
}

function entry(path: string): string {
  return relative('src', path).replace(/\.ts$/, '');
}

/** True when a name equals the rule, is in its folder, or starts with its text before a star. */
function matches(name: string, rule: string): boolean {
  return rule.endsWith('*') ? name.startsWith(rule.slice(0, -1)) : name === rule || name.startsWith(`${rule}/`);
}

/** The most specific rule of a table for a name. */
function ruleFor(name: string, rules: string[]): string | undefined {
  return rules.filter((rule) => matches(name, rule)).sort((a, b) => b.length - a.length)[0];
}

describe('imports', () => {
  test('finds the sources and their imports', () => {
    expect(SOURCES.length).toBeGreaterThan(30);
    expect(importsOf('src/config/config.ts').ours).toContain('config/store-url');
    expect(importsOf('src/main.ts').packages).toContain('pino');
  });

  test.each(SOURCES)('%s imports only what the table allows', (path) => {
    const name = entry(path);
    const rule = ruleFor(name, Object.keys(IMPORTS));
    expect(rule, `an entry for ${name} in test/support/import-table.ts`).toBeDefined();
    const allowed = IMPORTS[rule ?? ''] ?? [];
    const { ours, packages } = importsOf(path);
    const room = rule ?? name;
    expect(ours.filter((target) => ![room, ...allowed].some((one) => matches(target, one)))).toEqual([]);
    for (const target of packages) {
      if (target.startsWith('node:') && target !== 'node:process') continue;
      const users = PACKAGES[target];
      expect(users, `an entry for the package ${target} in test/support/import-table.ts`).toBeDefined();
      expect(
        users?.some((user) => matches(name, user)),
        `${name} importing ${target}`,
      ).toBe(true);
    }
  });

  test('has no table entry without a folder', () => {
    const names = SOURCES.map(entry);
    const named = [...Object.keys(IMPORTS), ...Object.values(IMPORTS).flat(), ...Object.values(PACKAGES).flat()];
    expect(named.filter((rule) => !names.some((name) => matches(name, rule)))).toEqual([]);
  });

  test('only entry files use `process`', () => {
    const users = SOURCES.filter((path) => /\bprocess\.[a-zA-Z]|globalThis\.process/.test(read(path))).map(entry);
    expect(users.filter((name) => !PROCESS_USERS.includes(name))).toEqual([]);
  });

  test('has every imported package in its dependencies', () => {
    const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> };
    const imported = new Set(
      SOURCES.flatMap((path) => importsOf(path).packages).filter((name) => !name.startsWith('node:')),
    );
    expect([...imported].filter((name) => !(name in dependencies))).toEqual([]);
  });
});

describe('the layout', () => {
  test('has at most 15 entries in src', () => {
    expect(new Set(SOURCES.map((path) => path.split('/')[1])).size).toBeLessThanOrEqual(15);
  });

  test('has no import cycle between files, types included', () => {
    expect(circles(new Map(SOURCES.map((path) => [entry(path), importsOf(path).ours])))).toEqual([]);
  });

  test('has no import cycle between folders of src', () => {
    const rooms = new Map<string, string[]>();
    for (const path of SOURCES) {
      const [room = ''] = entry(path).split('/');
      const targets = importsOf(path).ours.map((target) => target.split('/')[0] ?? '');
      rooms.set(room, [...(rooms.get(room) ?? []), ...targets.filter((target) => target !== room)]);
    }
    expect(circles(rooms)).toEqual([]);
  });
});

/** The members of every cycle of a graph. */
function circles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  return [...graph.keys()].filter((start) => {
    const seen = new Set<string>();
    const queue = [...(graph.get(start) ?? [])];
    for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
      if (name === start) return true;
      if (seen.has(name)) continue;
      seen.add(name);
      queue.push(...(graph.get(name) ?? []));
    }
    return false;
  });
}

describe('files', () => {
  test('have names that describe their content', () => {
    const vague = /^(utils?|helpers?|common|shared-utils|misc|types|interfaces)$/;
    expect(
      SOURCES.filter((path) =>
        entry(path)
          .split('/')
          .some((part) => vague.test(part)),
      ),
    ).toEqual([]);
    // The barrels are the public ones.
    expect(SOURCES.filter((path) => basename(path) === 'index.ts')).toEqual([
      'src/carat/index.ts',
      'src/client/index.ts',
    ]);
  });
});

describe('options', () => {
  const defaults = Object.fromEntries(VARIABLE_DEFAULTS);

  test('.env.example has every variable with its default, commented out, each below a sentence', () => {
    const lines = read('.env.example').split('\n');
    const given = lines.flatMap((line) => [...line.matchAll(/^#?([A-Z][A-Z_]+)=(.*)$/g)]);
    expect(Object.fromEntries(given.map(([, name, value]) => [name, value]))).toEqual(defaults);
    expect(given).toHaveLength(VARIABLE_DEFAULTS.size);
    expect(lines.filter((line) => line !== '' && !line.startsWith('#'))).toEqual([]);
    expect(lines.filter((line, at) => /^#[A-Z]/.test(line) && lines[at - 1] === '')).toEqual([]);
  });

  test("the README's table has every variable with its default", () => {
    const [, table = ''] = /^## Options$(.*?)^## /ms.exec(read('README.md')) ?? [];
    const rows = [...table.matchAll(/^\| `([A-Z_]+)` \| (?:`([^`]*)`)? ?\|/gm)];
    expect(Object.fromEntries(rows.map(([, name, value = '']) => [name, value]))).toEqual(defaults);
    expect(rows).toHaveLength(VARIABLE_DEFAULTS.size);
  });
});

describe('commands', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };

  test('the README starts the service first, and tests it second', () => {
    const blocks = [...read('README.md').matchAll(/^```sh\n(.*?)^```$/gms)].map(([, commands = '']) => commands.trim());
    expect(blocks.slice(0, 2)).toEqual(['npm ci && npm start', 'npm ci && npm test']);
  });

  test('npm start replaces itself by the process, so that signals reach it', () => {
    expect(scripts['start']).toMatch(/^exec node /);
  });

  test('CI installs like the README, runs every test, and npm test on Node 24', () => {
    expect(read('.ci/run')).toMatch(/^step npm ci\nstep tests \w+ npm run test:all --$/m);
    expect(scripts['test']).toBe('vitest run --project service');
    expect(read('.ci/run')).toMatch(/^step tests .*node@24 .*vitest\.mjs run --project service$/m);
    const named = [...read('.ci/run').matchAll(/\bnpm run ([a-z:-]+)/g)].map(([, name = '']) => name);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });
});
