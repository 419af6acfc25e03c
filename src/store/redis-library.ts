/** ioredis, loaded by those who use Redis and by nobody else: it takes a tenth of a second and 6 MB. */
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** From the second call on it is there already. */
export const ioredis = (): typeof import('ioredis') => require('ioredis');
