/** Checks the Lua scripts without running them: syntax, globals, and locals or shared files that nothing uses. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Node, parse } from 'luaparse';
import { describe, expect, test } from 'vitest';
import { sourceOf } from '../../../src/store/redis/scripts.ts';
import { KINDS, MOST_DISTINCT } from '../../../src/token.ts';
import { ROOT } from '../../support/build.ts';

const FOLDER = join(ROOT, 'src/store/redis/lua');
const SCRIPTS = filesIn('');
const SHARED = filesIn('shared');
const FILES = [...SCRIPTS, ...SHARED];

/** What Redis gives a script. */
const GLOBALS = new Set('ARGV KEYS ipairs math pairs redis string table tonumber tostring type unpack'.split(' '));

interface Names {
  /** Names that are neither locals nor given by Redis. */
  free: string[];
  /** Names of locals that are declared and never mentioned. */
  unused: string[];
}

describe('a Lua file', () => {
  test('is parsed with its free and unused names', () => {
    expect(SCRIPTS).toContain('put');
    expect(namesIn("local a, b = 1\nredis.call('GET', c)\nreturn b.a")).toEqual({ free: ['c'], unused: ['a'] });
    expect(() => namesIn('local = 1')).toThrow();
  });

  test.each(SCRIPTS)('%s defines every name that it uses', (script) => {
    expect(namesIn(sourceOf(script)).free).toEqual([]);
  });

  test.each(FILES)('%s uses every local of a function or script', (file) => {
    const shared = file.startsWith('shared/') ? localsOf(file) : [];
    expect(namesIn(textOf(file)).unused.filter((name) => !shared.includes(name))).toEqual([]);
  });

  test.each(FILES)('%s names the shared files that it uses', (file) => {
    const { free } = namesIn(textOf(file));
    expect(usesOf(file)).toEqual(SHARED.filter((one) => localsOf(one).some((name) => free.includes(name))));
  });

  test.each(SHARED)('%s declares only names that are used', (shared) => {
    const elsewhere = new Set(FILES.flatMap((file) => namesIn(textOf(file)).free));
    expect(namesIn(textOf(shared)).unused.filter((name) => !elsewhere.has(name))).toEqual([]);
  });

  test('counts and names kinds like the other stores', () => {
    expect(textOf('shared/queries')).toContain(`local MOST_DISTINCT = ${MOST_DISTINCT}\n`);
    expect(textOf('shared/indexes')).toContain(`KINDS = { ${KINDS.map((kind) => `'${kind}'`).join(', ')} }`);
  });
});

function filesIn(folder: string): string[] {
  const files = readdirSync(join(FOLDER, folder)).filter((file) => file.endsWith('.lua'));
  return files.map((file) => join(folder, file.replace('.lua', ''))).sort();
}

function textOf(file: string): string {
  return readFileSync(join(FOLDER, `${file}.lua`), 'utf8');
}

/** The shared files that the first line of a file names. */
function usesOf(file: string): string[] {
  const [, names] = /^-- uses: (.*)\n/.exec(textOf(file)) ?? [];
  return names?.split(', ').map((name) => join('shared', name)) ?? [];
}

/** The locals of a file that the files after it can use. */
function localsOf(file: string): string[] {
  const declarations = textOf(file).matchAll(/^local (?:function )?([\w, ]+)/gm);
  return [...declarations].flatMap(([, names = '']) => names.split(',').map((name) => name.trim()));
}

/** Counts by name: a local is unused when it is mentioned no more often than declared. */
function namesIn(source: string): Names {
  const declared: string[] = [];
  const identifiers: { name: string; isLocal?: boolean }[] = [];
  const fields = new Set<unknown>();
  const declare = (nodes: readonly Node[]): void => {
    for (const node of nodes) if (node.type === 'Identifier') declared.push(node.name);
  };
  parse(source, {
    luaVersion: '5.1',
    scope: true,
    onCreateNode(node) {
      if (node.type === 'Identifier') identifiers.push(node);
      if (node.type === 'MemberExpression') fields.add(node.identifier);
      if (node.type === 'TableKeyString') fields.add(node.key);
      if (node.type === 'LocalStatement' || node.type === 'ForGenericStatement') declare(node.variables);
      if (node.type === 'ForNumericStatement') declare([node.variable]);
      if (node.type === 'FunctionDeclaration') {
        declare(node.parameters);
        if (node.isLocal && node.identifier !== null) declare([node.identifier]);
      }
    },
  });
  const mentioned = identifiers.filter((node) => !fields.has(node));
  const times = (names: readonly string[], name: string): number => names.filter((one) => one === name).length;
  const names = mentioned.map(({ name }) => name);
  const free = mentioned.filter(({ name, isLocal }) => !isLocal && !GLOBALS.has(name)).map(({ name }) => name);
  const unused = declared.filter((name) => name !== '_' && times(names, name) === times(declared, name));
  return { free: [...new Set(free)], unused: [...new Set(unused)] };
}
