/** The truth table on the embedded store. */
import { describe, expect, it } from 'vitest';
import { describeSemantics, SETTINGS, TABLE } from './semantics.ts';
import { readTable, type TableRow } from './table.ts';

describe('the table', () => {
  it('has each row once, and each row has one test', () => {
    const tested = SETTINGS.flatMap(({ rows }) => Object.keys(rows));
    expect(TABLE.map(({ id }) => id).sort()).toEqual(tested.sort());
    expect(TABLE.length).toBeGreaterThan(100);
  });

  it('is the same in Portuguese', () => {
    const same = ({ id, keys, kinds, status, code }: TableRow) => ({ id, keys, kinds, status, code });
    expect(readTable('docs/pt-BR/semantics.md').map(same)).toEqual(TABLE.map(same));
  });
});

describeSemantics('embedded');
