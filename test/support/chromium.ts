/** A real Chromium for the tests of the operator page. */
import { type Browser, chromium } from 'playwright-core';
import { findTool } from './tools.ts';

const ARGUMENTS = [
  '--no-sandbox',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

export async function launchChromium(): Promise<Browser> {
  const { path, env } = await findTool('chromium');
  return chromium.launch({ executablePath: path, args: ARGUMENTS, env: { ...process.env, ...env } });
}
