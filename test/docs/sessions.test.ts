/** The documents show what was done: their shell sessions are played again, and their snippets are those that the tests run. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createSimulator } from '../../src/simulator/simulator.ts';
import { ROOT } from '../support/build.ts';
import { RestartableService } from '../support/restartable-service.ts';
import { run } from '../support/run.ts';
import { until } from '../support/until.ts';

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
/** The post for which the session waits, which came by itself a second and a half later. */
const LATE = { seid: '0123456789qwertyuiopasdfghjklzxcvbnm0123456789qwertyuiopasdfghjk', merchant_data: '0000000042' };

interface Step {
  command: string;
  shown: string[];
}

/** The commands of a document's shell sessions, each with what it shows below them. */
function stepsOf(path: string): Step[] {
  const steps: Step[] = [];
  for (const [, session = ''] of read(path).matchAll(/^```console\n(.*?)^```$/gms)) {
    for (const part of session.split(/^\$ /m).slice(1)) {
      const lines = part.trimEnd().split('\n');
      const end = lines.findIndex((line) => !line.endsWith('\\')) + 1;
      steps.push({ command: lines.slice(0, end).join('\n'), shown: lines.slice(end) });
    }
  }
  return steps;
}

/** A line as it is shown: an ellipsis stands for what was left out, and times are those of another day. */
function pattern(line: string): RegExp {
  const escaped = line.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const dated = escaped
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\\\.\d{3}Z/g, '[0-9T:.-]+Z')
    .replace(/^Date: .*/, 'Date: .*');
  return new RegExp(`^${dated.replaceAll(/ ?… ?/g, '.*')}$`);
}

const SESSIONS = [
  { path: 'README.md', least: 2 },
  { path: 'README.pt-BR.md', least: 2 },
  { path: 'docs/api.md', least: 12 },
  { path: 'docs/pt-BR/api.md', least: 12 },
];

it.each(SESSIONS)('$path shows a session that goes as it says', async ({ path, least }) => {
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

/** What Carat makes up: a SID, SEID, NIT or token, another one each time. */
const ISSUED = /[0-9a-f]{64}/g;

it('docs/flows.md shows every flow with Carat as it goes', async () => {
  const simulator = createSimulator({ authenticityUrl: 'http://127.0.0.1:1/' });
  const carat = await simulator.listen();
  const service = await RestartableService.start({
    CARAT_CREDENTIALS: 'default=LOJA1:CHAVE',
    CARAT_API_URL: simulator.addresses().portal,
    CARAT_RECHARGE_URL: simulator.addresses().recharge,
  });
  simulator.postTo(service.authenticityUrl);
  /** Each value of the document, and what came in its place. */
  const issued = new Map<string, string>();
  const here = (text: string): string => text.replaceAll(ISSUED, (value) => issued.get(value) ?? value);
  const steps = stepsOf('docs/flows.md');
  expect(steps.length).toBeGreaterThan(20);
  for (const { command, shown } of steps) {
    const played = here(command)
      .replaceAll('http://127.0.0.1:8090', carat)
      .replaceAll('http://127.0.0.1:8081', service.workerUrl);
    const { code, out, error } = await run('sh', ['-c', played.replace(/^curl /, 'curl -sS ')]);
    expect({ command, code, error }).toEqual({ command, code: 0, error: '' });
    for (const [at, line] of shown.entries()) {
      const known = new Set(issued.values());
      const expected = pattern(here(line)).source;
      const fresh = [...expected.matchAll(ISSUED)].map(([value]) => value).filter((value) => !known.has(value));
      const came = out.split(/\r?\n/)[at] ?? '';
      const found = expected.replaceAll(ISSUED, (value) => (known.has(value) ? value : `(${ISSUED.source})`));
      expect({ command, came }).toEqual({ command, came: expect.stringMatching(found) });
      const [, ...values] = came.match(found) ?? [];
      for (const [nth, value] of values.entries()) issued.set(fresh[nth] ?? '', value);
    }
  }
  await service.stop();
  await simulator.close();
});

it.each(['docs/languages.md', 'docs/pt-BR/languages.md'])('%s quotes the snippets as they are run', (path) => {
  const quoted = [...read(path).matchAll(/^<!-- (examples\/snippets\/\S+) -->\n```\w+\n(.*?)^```$/gms)];
  expect(quoted).toHaveLength(10);
  for (const [, file = '', text] of quoted) expect(text).toBe(read(file));
});

it.each(['README.md', 'README.pt-BR.md'])('%s has at most 200 lines and 1,500 words', (path) => {
  const text = read(path);
  expect(text.split('\n').length - 1).toBeLessThanOrEqual(200);
  expect(text.split(/\s+/).length).toBeLessThanOrEqual(1500);
});
