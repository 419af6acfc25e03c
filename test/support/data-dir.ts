/** Services on the DATA_DIR of a test. They end with the test. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { ServiceProcess, type Start } from './service-process.ts';

export interface DataDir {
  /** The directory of the current test. It exists and is empty. */
  readonly path: string;
  /** Starts a service on the directory. */
  start(options?: Start): Promise<ServiceProcess>;
  /** Starts a service that is not expected to listen. */
  run(options?: Start): ServiceProcess;
}

/** Gives each test of a file a directory, and ends the services that the test started on it. */
export function useDataDir(): DataDir {
  let path = '';
  const services: ServiceProcess[] = [];
  const withDirectory = ({ env, ...options }: Start): Start => ({ ...options, env: { DATA_DIR: path, ...env } });

  beforeEach(async () => {
    path = await mkdtemp(join(tmpdir(), 'data-dir-'));
  });

  afterEach(async () => {
    await Promise.all(services.splice(0).map((service) => service.kill()));
    await rm(path, { recursive: true, force: true });
  });

  return {
    get path() {
      return path;
    },
    async start(options = {}) {
      const service = await ServiceProcess.start(withDirectory(options));
      services.push(service);
      return service;
    },
    run(options = {}) {
      const service = new ServiceProcess(withDirectory(options));
      services.push(service);
      return service;
    },
  };
}
