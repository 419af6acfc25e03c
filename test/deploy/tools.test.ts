/** The deployment files, checked by their tools. The set-up fetches missing tools. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { run } from '../support/run.ts';
import { findTool, type Tool } from '../support/tools.ts';

const PROJECT = new URL('../../', import.meta.url).pathname;
const UNIT = 'carat-authenticity.service';
/** The limit of the exposure in `systemd-analyze security`, from 0 to 10. Ours is 1.4. */
const MOST_EXPOSURE = 2;

let shellcheck: Tool;
let analyze: Tool;
beforeAll(async () => {
  shellcheck = await findTool('shellcheck');
  analyze = await findTool('systemd-analyze');
});

test('shellcheck accepts every shell script', async () => {
  const { path, env } = shellcheck;
  const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: PROJECT });
  const scripts: string[] = [];
  for (const file of files.toString().trim().split('\n')) {
    const [first = ''] = (await readFile(join(PROJECT, file), 'utf8').catch(() => '')).split('\n', 1);
    if (/^#!.*\b(ba|da)?sh$/.test(first)) scripts.push(file);
  }
  expect(scripts).toEqual(expect.arrayContaining(['.ci/run', 'test/container/stand-ins.sh']));
  const checked = await run(path, ['--severity=warning', ...scripts], env, { cwd: PROJECT });
  expect(checked).toEqual({ code: 0, out: '', error: '' });

  const wrong = await mkdtemp(join(tmpdir(), 'script-'));
  onTestFinished(() => rm(wrong, { recursive: true }));
  await writeFile(join(wrong, 'wrong.sh'), '#!/bin/sh\ncd $1\nfor file in $(ls); do rm $file; done\n');
  expect((await run(path, ['--severity=warning', join(wrong, 'wrong.sh')], env)).code).toBe(1);
});

test('systemd accepts the unit, and rates its exposure as low', async () => {
  const { path } = analyze;
  // Our unit names units of the systemd package, which may only be unpacked.
  const units = ['../../lib', '../../../lib'].map((folder) => join(path, folder, 'systemd/system'));
  const env = { ...analyze.env, SYSTEMD_UNIT_PATH: `${units.join(':')}:` };
  const folder = await mkdtemp(join(tmpdir(), 'unit-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const unit = join(folder, UNIT);
  // With this machine's node, and without an installation.
  const text = (await readFile(join(PROJECT, 'deploy/systemd', UNIT), 'utf8')).replace(
    '/usr/bin/node',
    process.execPath,
  );
  await writeFile(unit, text);
  expect(await run(path, ['verify', unit], env)).toEqual({ code: 0, out: '', error: '' });
  const { out } = await run(path, ['security', '--offline=true', unit], env);
  expect(Number(/Overall exposure level.*?: ([\d.]+)/.exec(out)?.[1])).toBeLessThan(MOST_EXPOSURE);

  await writeFile(unit, text.replace('TimeoutStopSec=15', 'TimeoutStopSec=soon'));
  expect((await run(path, ['verify', unit], env)).error).toContain('Failed to parse time value');
});
