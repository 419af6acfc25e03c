// Puts the service and what it needs into one file, dist/main.js, in place of what tsc left there: Node finds, reads and keeps
// one file with less than the five hundred that it stands for. Left outside are what brings compiled
// code and what few load: pino-pretty and ioredis.
import { cpSync } from 'node:fs';
import { build } from 'esbuild';

await build({
  entryPoints: ['src/main.ts'],
  outfile: 'dist/main.js',
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  format: 'esm',
  external: ['classic-level', 'ioredis', 'pino-pretty'],
  // CommonJS within a module asks for Node's own modules by `require`.
  banner: {
    js: "import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(import.meta.url);",
  },
  sourcemap: 'linked',
  sourcesContent: false,
  logLevel: 'warning',
});

// The Lua scripts lie beside the module that reads them: beside the bundle, and where tsc leaves `scripts.js`.
for (const folder of ['dist/lua', 'dist/store/redis/lua']) cpSync('src/store/redis/lua', folder, { recursive: true });
