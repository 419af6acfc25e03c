/** The version of the service, as `package.json` has it. */
import { createRequire } from 'node:module';

const load = createRequire(import.meta.url);

// By the package's own name: the bundle and the unbundled CLI lie at different depths.
export const VERSION: string = load('carat-authenticity/package.json').version;
