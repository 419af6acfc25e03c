/** The name of an instance among those that share a store. */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';

/**
 * Reads the name from a file, or creates the file with a new name. Without a disk, the name ends
 * with the process.
 */
export function instanceName(file: string): string {
  const name = randomBytes(8).toString('hex');
  try {
    writeFileSync(file, name, { flag: 'wx' });
    return name;
  } catch {
    // The file exists, or cannot be written.
  }
  try {
    const before = readFileSync(file, 'utf8');
    return /^[0-9a-f]{16}$/.test(before) ? before : name;
  } catch {
    return name;
  }
}
