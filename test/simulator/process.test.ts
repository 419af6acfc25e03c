/** The simulator as a process: `npm run simulator`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';

const MAIN = new URL('../../dist/simulator/main.js', import.meta.url).pathname;

function start(env: Record<string, string>) {
  return spawn(process.execPath, [MAIN], { env: { PATH: process.env['PATH'], ...env } });
}

it('prints its address, and ends with 0 at SIGTERM', async () => {
  const child = start({ SIMULATOR_PORT: '0', AUTHENTICITY_URL: 'http://127.0.0.1:1/somewhere' });
  const ended = once(child, 'exit');
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  const [, address, target] = /at (\S+), posting to (\S+)$/.exec(line) ?? [];
  expect(target).toBe('http://127.0.0.1:1/somewhere');
  expect((await fetch(`${address}/simulator/state`)).status).toBe(200);
  child.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
});

it('names every wrong variable and ends with 2', async () => {
  const child = start({ SIMULATOR_PORT: 'eighty', AUTHENTICITY_URL: 'carat' });
  const chunks: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  expect(await once(child, 'close')).toEqual([2, null]);
  const text = Buffer.concat(chunks).toString();
  expect(text).toContain('SIMULATOR_PORT');
  expect(text).toContain('AUTHENTICITY_URL');
});
