/** Finds the merchant whose path is similar to a requested one: mistyped, or below a prefix that a proxy added. */

const MOST_CHANGES = 2;

/** @param path as received, without a query; compared without regard to case */
export function nearMiss(path: string, paths: ReadonlyMap<string, string>): string | undefined {
  const given = path.toLowerCase().replace(/(?<=.)\/$/, '');
  for (const [known, merchant] of paths) {
    const meant = known.toLowerCase();
    if (known !== '/' && given.endsWith(meant)) return merchant;
    if (Math.abs(given.length - meant.length) <= MOST_CHANGES && isWithin(given, meant, MOST_CHANGES)) return merchant;
  }
  return undefined;
}

/** True if at most this many insertions, deletions or changes of characters turn one text into the other. */
function isWithin(one: string, other: string, changes: number): boolean {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at += 1;
  const [left, right] = [one.slice(at), other.slice(at)];
  if (left === '' || right === '') return left.length + right.length <= changes;
  if (changes === 0) return false;
  const [leftRest, rightRest] = [left.slice(1), right.slice(1)];
  return (
    isWithin(leftRest, rightRest, changes - 1) ||
    isWithin(leftRest, right, changes - 1) ||
    isWithin(left, rightRest, changes - 1)
  );
}
