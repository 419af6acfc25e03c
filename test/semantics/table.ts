/** The truth table as `docs/semantics.md` has it. */
import { readFileSync } from 'node:fs';
import { CORRELATORS, KINDS, type Kind } from '../../src/token.ts';
import type { Key } from './trial.ts';

export interface TableRow {
  id: string;
  keys: readonly Key[];
  kinds: readonly Kind[];
  status: number;
  code: string | undefined;
}

/** The rows of the tables of a document: id, key, kind, state, event, answer. */
export function readTable(path: string): TableRow[] {
  const lines = readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8').split('\n');
  return lines
    .filter((line) => /^\| `[a-z]+\.[a-z-]+` \|/.test(line))
    .map((line) => {
      const [id = '', key = '', kind = '', _state, _event, answer = ''] = line.split(' | ').map((cell) => plain(cell));
      const [, status, code] = /^(\d{3})(?: ([a-z_]+))?(?:[:;].*)?$/.exec(answer) ?? [];
      if (status === undefined) throw new Error(`expected an answer like "410 used" in the row ${id}, got ${answer}`);
      return { id, keys: keysOf(key), kinds: kindsOf(kind), status: Number(status), code };
    });
}

function plain(cell: string): string {
  return cell.replaceAll(/[`|]/g, '').trim();
}

function keysOf(cell: string): readonly Key[] {
  if (cell === 'each') return CORRELATORS;
  if (cell === 'any') return [...CORRELATORS, 'pool'];
  const key = cell === '–' ? 'merchant_data' : ([...CORRELATORS, 'pool'] as const).find((one) => one === cell);
  if (key === undefined) throw new Error(`expected a key, got ${cell}`);
  return [key];
}

function kindsOf(cell: string): readonly Kind[] {
  if (cell === 'each') return KINDS;
  const kind = cell === '–' ? 'seid' : KINDS.find((one) => one === cell);
  if (kind === undefined) throw new Error(`expected a kind, got ${cell}`);
  return [kind];
}
