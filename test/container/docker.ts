/** Docker, with the images of its registry. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Commands } from './commands.ts';
import { composeArguments, type Engine, IMAGE, KEY, labelArguments, PROJECT } from './engine.ts';

/** @param temporary a folder that is removed after the run */
export async function openDocker(commands: Commands, temporary: string): Promise<Engine> {
  const composer = (await commands.works('docker', 'compose', 'version')) ? ['docker', 'compose'] : ['docker-compose'];
  const used = await commands.versions(['docker', '--version'], [...composer, 'version']);
  const envFile = join(temporary, 'env');
  await writeFile(envFile, `WORKER_API_KEYS=${KEY}\nIMAGE=${IMAGE}\n`);
  const docker = (...args: string[]): Promise<string> => commands.run(['docker', ...args]);
  const compose = (...args: string[]): Promise<string> =>
    commands.run([...composer, ...composeArguments(envFile), ...args]);
  return {
    name: used.join(', '),
    base: 'node:24-slim',
    docker,
    compose,
    async build(step) {
      const build = [
        'docker',
        'build',
        '--progress',
        'plain',
        ...(await labelArguments(commands)),
        '-t',
        IMAGE,
        PROJECT,
      ];
      const line = (text: string): void => {
        const [, told] = /^#\d+ (\[.*)$/.exec(text) ?? [];
        if (told !== undefined) step(told);
      };
      await commands.run(build, { env: { DOCKER_BUILDKIT: '1' }, line });
    },
    reaches: (container, url) => commands.works('docker', 'exec', container, 'curl', '-fsS', '--max-time', '5', url),
    async close() {
      await compose('--profile', 'scale', '--profile', 'simulator', 'down', '-v', '--remove-orphans');
      await docker('image', 'rm', '--force', IMAGE);
    },
  };
}
