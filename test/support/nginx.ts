/** A real nginx on a free port, with the given directives. */
import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { GuardedFolder } from './guarded-folder.ts';
import { freePort, LOOPBACK } from './ports.ts';
import { ServerProcess } from './server-process.ts';
import { findTool } from './tools.ts';
import { until } from './until.ts';

export interface Nginx {
  url: string;
  stop(): Promise<void>;
}

/** `directives`: the content of its only `server`. */
export async function startNginx(directives: string): Promise<Nginx> {
  const { path, env } = await findTool('nginx');
  const folder = await GuardedFolder.make('nginx-');
  const port = await freePort();
  await mkdir(join(folder.path, 'temp'));
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder.path}/temp/${name};`,
  );
  const file = join(folder.path, 'nginx.conf');
  const server = `server { listen ${LOOPBACK}:${port}; ${directives} }`;
  const http = `http { access_log off; ${temporary.join(' ')} ${server} }`;
  await writeFile(file, `daemon off; pid ${folder.path}/nginx.pid; events {} ${http}\n`);
  const args = ['-e', 'stderr', '-p', folder.path, '-c', file];
  const process = await ServerProcess.start({ path, args, env, folder });
  const stop = async (): Promise<void> => {
    if (process.running) await process.terminate();
    await folder.remove();
  };
  await until('nginx listens', () => process.running && accepts(port)).catch(async (error: Error) => {
    await stop();
    throw new Error(`${error.message}\n${process.output}`);
  });
  return { url: `http://${LOOPBACK}:${port}`, stop };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: LOOPBACK, port }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
