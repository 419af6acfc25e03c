/** The version of the service, from `package.json`. */
import { createRequire } from 'node:module';

const load = createRequire(import.meta.url);

// Resolved by the package's own name: the bundle and the unbundled CLI lie at different depths.
export const VERSION: string = load('carat-authenticity/package.json').version;
