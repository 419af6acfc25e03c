/** Runs the shell sessions of the documents, and compares their snippets with the tested ones. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ROOT } from '../support/build.ts';
import { RestartableService } from '../support/restartable-service.ts';
import { run } from '../support/run.ts';
import { pattern, stepsOf } from '../support/sessions.ts';
import { until } from '../support/until.ts';

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
/** The post for which the session waits. It came a second and a half later. */
const LATE = { seid: '0123456789qwertyuiopasdfghjklzxcvbnm0123456789qwertyuiopasdfghjk', merchant_data: '0000000042' };

const SESSIONS = [
  { path: 'README.md', least: 2 },
  { path: 'README.pt-BR.md', least: 2 },
  { path: 'docs/api.md', least: 12 },
  { path: 'docs/pt-BR/api.md', least: 12 },
];

it.each(SESSIONS)('$path shows a session with its real output', async ({ path, least }) => {
  const steps = stepsOf(path);
  expect(steps.length).toBeGreaterThanOrEqual(least);
  const service = await RestartableService.start();
  for (const { command, shown } of steps) {
    const here = command
      .replaceAll('http://127.0.0.1:8080', new URL(service.authenticityUrl).origin)
      .replaceAll('http://127.0.0.1:8081', service.workerUrl);
    const ran = run('sh', ['-c', here.replace(/^curl /, 'curl -sS ')]);
    if (command.includes(LATE.merchant_data)) {
      await until('it waits', () => service.waiting === 1);
      await service.post(LATE);
    }
    const { code, out, error } = await ran;
    expect({ command, code, error }).toEqual({ command, code: 0, error: '' });
    const lines = out.split(/\r?\n/);
    for (const [at, line] of shown.entries()) expect(lines[at]).toMatch(pattern(line));
  }
  await service.stop();
});

it.each(['docs/languages.md', 'docs/pt-BR/languages.md'])('%s quotes the tested snippets', (path) => {
  const quoted = [...read(path).matchAll(/^<!-- (examples\/snippets\/\S+) -->\n```\w+\n(.*?)^```$/gms)];
  expect(quoted).toHaveLength(12);
  for (const [, file = '', text] of quoted) expect(text).toBe(read(file));
});

it.each(['README.md', 'README.pt-BR.md'])('%s has at most 200 lines and 1,500 words', (path) => {
  const text = read(path);
  expect(text.split('\n').length - 1).toBeLessThanOrEqual(200);
  expect(text.split(/\s+/).length).toBeLessThanOrEqual(1500);
});
