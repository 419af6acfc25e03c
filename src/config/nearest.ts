/** Returns the known name that is closest to a misspelt one; none if nothing is close. */
export function nearest(given: string, known: readonly string[]): string | undefined {
  const [best] = known
    .map((name) => ({ name, away: name.startsWith(given) && given.length > 1 ? 0 : distance(given, name) }))
    .sort((one, other) => one.away - other.away);
  return best !== undefined && best.away <= Math.max(2, given.length / 3) ? best.name : undefined;
}

/** Levenshtein distance: the number of letters to insert, delete or change. */
export function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (const [at, letter] of [...from].entries()) {
    const next = [at + 1];
    for (const [column, other] of [...to].entries()) {
      const changed = (row[column] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(changed, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
