/**
 * The proxies of `deploy/`, run with the real files. Only site settings change: addresses, ports,
 * certificate, secret path, and folders of logs and temporary files.
 */
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Certificate, makeCertificate } from '../support/certificate.ts';
import { GuardedFolder } from '../support/guarded-folder.ts';
import { freePort, LOOPBACK } from '../support/ports.ts';
import { ServerProcess } from '../support/server-process.ts';
import { findTool, type Tool } from '../support/tools.ts';
import { until } from '../support/until.ts';
import type { Place } from './instance.ts';

const DEPLOY = new URL('../../deploy/', import.meta.url).pathname;
export const SECRET_PATH = '/a/0123456789abcdefghijklmnopqrstuv';

/** An instance, or its stand-in, for a proxy. */
export interface Upstream {
  readonly place: Place;
}

/** The settings of a configuration, and its folder. */
interface Site {
  folder: string;
  port: number;
  workerPort: number;
  certificate: Certificate;
  instances: readonly [Upstream, Upstream];
}

interface Kind {
  /**
   * Writes the configuration. Returns the arguments of a check, and of a run in the foreground.
   * Without `accessLog` it logs to stdout.
   */
  configure(site: Site): Promise<{ check: string[]; run: string[]; accessLog?: string }>;
}

export type ProxyName = 'nginx' | 'caddy' | 'haproxy';

const KINDS: Record<ProxyName, Kind> = {
  nginx: {
    async configure({ folder, port, workerPort, certificate, instances }) {
      await mkdir(join(folder, 'temp'));
      await writeFile(join(folder, 'carat-proxy.conf'), await readFile(join(DEPLOY, 'nginx/carat-proxy.conf')));
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
        (name) => `${name}_temp_path ${folder}/temp/${name};`,
      );
      const text = replaceAll(await readFile(join(DEPLOY, 'nginx/nginx.conf'), 'utf8'), {
        'user www-data;': '',
        'http {': `http {\n  ${temporary.join('\n  ')}`,
        'pid /run/nginx.pid': `pid ${folder}/nginx.pid`,
        '    listen [::]:443 ssl;\n': '',
        'listen 443 ssl': `listen ${LOOPBACK}:${port} ssl`,
        'listen 127.0.0.1:8091': `listen ${LOOPBACK}:${workerPort}`,
        '/etc/ssl/carat/fullchain.pem': certificate.certFile,
        '/etc/ssl/carat/privkey.pem': certificate.keyFile,
        '/var/log/nginx/': `${folder}/`,
        ...addresses(instances),
      });
      const file = join(folder, 'nginx.conf');
      await writeFile(file, text);
      const run = ['-e', 'stderr', '-p', folder, '-c', file];
      return { check: ['-t', ...run], run: [...run, '-g', 'daemon off;'], accessLog: join(folder, 'carat.log') };
    },
  },
  caddy: {
    async configure({ folder, port, workerPort, certificate, instances }) {
      const text = replaceAll(await readFile(join(DEPLOY, 'caddy/Caddyfile'), 'utf8'), {
        'https://carat.example.com {': `https://localhost:${port}, https://${LOOPBACK}:${port} {\n\tbind ${LOOPBACK}`,
        'http://:8091 {': `http://:${workerPort} {`,
        'health_port 8081': `health_port ${instances[0].place.workerPort}`,
        '/etc/ssl/carat/fullchain.pem': certificate.certFile,
        '/etc/ssl/carat/privkey.pem': certificate.keyFile,
        '/var/log/caddy/': `${folder}/`,
        ...addresses(instances),
      });
      const file = join(folder, 'Caddyfile');
      await writeFile(file, text);
      const given = ['--config', file, '--adapter', 'caddyfile'];
      return { check: ['validate', ...given], run: ['run', ...given], accessLog: join(folder, 'carat.log') };
    },
  },
  haproxy: {
    async configure({ folder, port, workerPort, certificate, instances }) {
      const [chain, key] = await Promise.all([readFile(certificate.certFile), readFile(certificate.keyFile)]);
      await writeFile(join(folder, 'haproxy.pem'), Buffer.concat([chain, key]));
      const text = replaceAll(await readFile(join(DEPLOY, 'haproxy/haproxy.cfg'), 'utf8'), {
        '  user haproxy\n  group haproxy\n': '',
        'bind :443': `bind ${LOOPBACK}:${port}`,
        'bind 127.0.0.1:8091': `bind ${LOOPBACK}:${workerPort}`,
        '/etc/ssl/carat/haproxy.pem': join(folder, 'haproxy.pem'),
        ...addresses(instances),
      });
      const file = join(folder, 'haproxy.cfg');
      await writeFile(file, text);
      return { check: ['-c', '-f', file], run: ['-db', '-f', file] };
    },
  },
};

export class ProxyServer {
  readonly port: number;
  readonly workerPort: number;
  readonly certificate: Certificate;
  readonly #accessLog: string | undefined;
  readonly #process: ServerProcess;
  readonly #folder: GuardedFolder;

  private constructor(site: Site, accessLog: string | undefined, process: ServerProcess, folder: GuardedFolder) {
    this.port = site.port;
    this.workerPort = site.workerPort;
    this.certificate = site.certificate;
    this.#accessLog = accessLog;
    this.#process = process;
    this.#folder = folder;
  }

  /** Checks the configuration with the proxy, and starts it. */
  static async start(name: ProxyName, instances: readonly [Upstream, Upstream]): Promise<ProxyServer> {
    const program = await findTool(name);
    const folder = await GuardedFolder.make(`${name}-`);
    const certificate = await makeCertificate(folder.path);
    const site = { folder: folder.path, port: await freePort(), workerPort: await freePort(), certificate, instances };
    const { check, run, accessLog } = await KINDS[name].configure(site);
    const env = { ...program.env, HOME: folder.path, XDG_DATA_HOME: folder.path, XDG_CONFIG_HOME: folder.path };
    await checked(program, check, env).catch(async (error: Error) => {
      await folder.remove();
      throw error;
    });
    const server = await ServerProcess.start({ path: program.path, args: run, env, folder });
    const proxy = new ProxyServer(site, accessLog, server, folder);
    await until(`${name} answers`, () => answers(site.workerPort)).catch(async (error: Error) => {
      await proxy.stop();
      throw new Error(`${error.message}\n${server.output}`);
    });
    return proxy;
  }

  async accessLog(): Promise<string> {
    return this.#accessLog === undefined ? this.output : readFile(this.#accessLog, 'utf8');
  }

  get output(): string {
    return this.#process.output;
  }

  /** Ends it by SIGTERM, with its child processes. */
  async stop(): Promise<void> {
    if (this.#process.running) await this.#process.terminate();
    await this.#folder.remove();
  }
}

async function checked({ path }: Tool, args: string[], env: Record<string, string>): Promise<void> {
  await promisify(execFile)(path, args, { env: { ...process.env, ...env } });
}

async function answers(port: number): Promise<boolean> {
  return (await fetch(`http://${LOOPBACK}:${port}/livez`)).ok;
}

function addresses([one, two]: readonly [Upstream, Upstream]): Record<string, string> {
  return {
    '/a/change-me': SECRET_PATH,
    '10.0.0.11:8080': `${one.place.host}:${one.place.port}`,
    '10.0.0.12:8080': `${two.place.host}:${two.place.port}`,
    '10.0.0.11:8081': `${one.place.host}:${one.place.workerPort}`,
    '10.0.0.12:8081': `${two.place.host}:${two.place.workerPort}`,
  };
}

/** @throws Error when the text is missing: a changed file must not be tested partly */
function replaceAll(text: string, replacements: Record<string, string>): string {
  let replaced = text;
  for (const [from, to] of Object.entries(replacements)) {
    if (!replaced.includes(from)) throw new Error(`expected the configuration to have ${JSON.stringify(from)}`);
    replaced = replaced.replaceAll(from, () => to);
  }
  return replaced;
}
