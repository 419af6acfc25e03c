/**
 * The floor's job with Restate: a waiting worker invokes a handler that waits for an awakeable, and
 * a post resolves it. Its server runs in its own folder. MODULES is the folder of its packages.
 */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { GuardedFolder } from '../../support/guarded-folder.ts';
import { freePort } from '../../support/ports.ts';
import { until } from '../../support/until.ts';
import { serve } from './facade.ts';

interface Context {
  awakeable(): { id: string; promise: Promise<string> };
}
/** The used part of the package, whose types are not installed. */
interface Restate {
  service(of: { name: string; handlers: Record<string, (context: Context, key: string) => Promise<string>> }): unknown;
  serve(options: { services: unknown[]; port: number }): Promise<number>;
}

const START_WITHIN_MS = 30_000;
const JSON_BODY = { method: 'POST', headers: { 'content-type': 'application/json' } };

const require = createRequire(`${process.env['MODULES']}/`);
const restate = require('@restatedev/restate-sdk') as Restate;
/** The awakeable of each key that is waited for. */
const awakeables = new Map<string, string>();
const tokens = restate.service({
  name: 'tokens',
  handlers: {
    wait(context, key) {
      const { id, promise } = context.awakeable();
      awakeables.set(key, id);
      return promise;
    },
  },
});

const [ingress, admin, internal, endpoint] = [await freePort(), await freePort(), await freePort(), await freePort()];
await startServer();
await restate.serve({ services: [tokens], port: endpoint });
const registration = JSON.stringify({ uri: at(endpoint) });
await until(
  'Restate knows the handler',
  async () => (await fetch(`${at(admin)}/deployments`, { ...JSON_BODY, body: registration })).ok,
  START_WITHIN_MS,
);

async function startServer(): Promise<void> {
  const platform = `@restatedev/restate-server-${process.platform}-${process.arch}/package.json`;
  const binary = join(dirname(require.resolve(platform)), 'bin', 'restate-server');
  const folder = await GuardedFolder.make('restate-');
  const env = {
    ...process.env,
    RESTATE_BASE_DIR: folder.path,
    RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ingress}`,
    RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${admin}`,
    RESTATE_BIND_ADDRESS: `127.0.0.1:${internal}`,
    RESTATE_ADVERTISED_ADDRESS: at(internal),
    RESTATE_AUTO_PROVISION: 'true',
    RESTATE_DISABLE_TELEMETRY: 'true',
    RUST_LOG: 'error',
  };
  folder.occupiedBy(spawn(binary, [], { cwd: folder.path, env, stdio: 'ignore' }).pid);
}

function at(port: number): string {
  return `http://127.0.0.1:${port}`;
}

async function wait(key: string): Promise<string> {
  const answer = await fetch(`${at(ingress)}/tokens/wait`, { ...JSON_BODY, body: JSON.stringify(key) });
  return (await answer.json()) as string;
}

async function keep(key: string, value: string): Promise<void> {
  const id = await until('somebody waits for the key', () => awakeables.get(key));
  awakeables.delete(key);
  await fetch(`${at(ingress)}/restate/awakeables/${id}/resolve`, { ...JSON_BODY, body: JSON.stringify(value) });
}

serve({ keep, wait });
