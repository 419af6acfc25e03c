/** The demo as a process. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';

const DEMO = new URL('../../dist/simulator/demo/main.js', import.meta.url).pathname;

describe('npm run demo', () => {
  async function demo(...args: string[]): Promise<{ code: number | null; text: string }> {
    const child = spawn(process.execPath, [DEMO, ...args], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    const [code] = await once(child, 'close');
    return { code, text: Buffer.concat(chunks).toString() };
  }

  it('exits with 0, and prints no token, key or card', async () => {
    const { code, text } = await demo('--json', '--only', 'with payment');
    expect(code).toBe(0);
    const steps = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(steps.at(-1)).toMatchObject({ step: 'summary', scenarios: 2, failed: [] });
    const post = steps.find(({ step }) => step === 'post');
    expect(post).toMatchObject({ by: 'recharges.begin', token: expect.stringMatching(/^[0-9a-f]{8}$/), answered: 200 });
    expect(text).not.toMatch(/[0-9a-f]{32}|DEMOKEY|5{12}/);
  });

  it('refuses a filter without a match', async () => {
    expect(await demo('--only', 'nothing of that name')).toEqual({ code: 2, text: '' });
  });
});
