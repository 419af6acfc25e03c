/** The version that runs, as `package.json` says it, beside the source and beside the built files alike. */
import { readFileSync } from 'node:fs';

export const VERSION: string = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version;
