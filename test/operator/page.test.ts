/** The operator page in a real browser: under its policy, live, in both languages, on a phone and on a wide screen. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { freePort } from '../support/ports.ts';
import { RawConnection } from '../support/raw-http.ts';
import { startRedis } from '../support/redis.ts';
import { RunningService } from '../support/service.ts';
import { scaled } from '../support/time-scale.ts';
import { until } from '../support/until.ts';

const SEID = 'qwertyuiopasdfghjklzxcvbnm0123456789qwertyuiopasdfghjklzxcvbnm02';
const NIT = 'abcdefghijklmnopqrstuvwxyz1234567890abcdefghijklmnopqrstuvwxyz12';
const ALL = 'a-key-for-all-merchants';
const TWO = 'a-key-of-the-loja2';
/** SCREENSHOTS=docs/screenshots replaces those of the documentation. */
const SCREENSHOTS = process.env['SCREENSHOTS'] ?? mkdtempSync(join(tmpdir(), 'screenshots-'));

let browser: Browser;
let service: RunningService;

beforeAll(async () => {
  browser = await launchChromium();
  service = await RunningService.start({
    env: {
      AUTHENTICITY_PATHS: 'default=/authenticity,loja2=/b',
      WORKER_API_KEYS: `${ALL},loja2:${TWO}`,
      TOKEN_TTL_SECONDS: '600',
    },
  });
});
afterAll(async () => {
  await browser.close();
  await service.stop();
});

/** Opens the page, takes a screenshot, and fails on any error of the browser. */
async function onPage(
  options: BrowserContextOptions,
  look: (page: Page) => Promise<void>,
  { key = ALL, address = service.service.workerUrl } = {},
): Promise<void> {
  const context = await browser.newContext({
    locale: 'en-US',
    ...(key === '' ? {} : { httpCredentials: { username: 'me', password: key } }),
    ...options,
  });
  try {
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => complaints.push(String(error)));
    await page.goto(address, { timeout: scaled(15_000) });
    await page.locator('main').waitFor({ timeout: scaled(15_000) });
    await look(page);
    const dom = await page.content();
    for (const value of [SEID, NIT]) expect(dom).not.toContain(value);
    expect(complaints).toEqual([]);
  } finally {
    await context.close();
  }
}

async function isWiderThanScreen(page: Page): Promise<boolean> {
  return page.evaluate(
    'document.documentElement.scrollWidth > document.documentElement.clientWidth',
  ) as Promise<boolean>;
}

describe('the operator page', () => {
  it('shows the first steps, and a post soon after its arrival', async () => {
    await onPage({ viewport: { width: 1440, height: 900 } }, async (page) => {
      expect(await page.locator('#status').innerText()).toContain('All is well');
      expect(await page.locator('.help').innerText()).toContain('Nothing has come yet');
      await page.screenshot({ path: join(SCREENSHOTS, 'first-steps.png') });
      await page.locator('.live.on').waitFor();
      await service.post({ seid: SEID, merchant_data: '14114532781' });
      await page.getByText('waits for a worker').waitFor({ timeout: scaled(15_000) });
      expect(await page.locator('.help').count()).toBe(0);
      await service.worker('GET', '/v1/tokens?merchant_data=14114532781', { key: ALL });
      await page.getByText(/read after/).waitFor({ timeout: scaled(15_000) });
      expect(await page.locator('.plots svg').count()).toBe(3);
      expect(await page.locator('.plots rect').count()).toBeGreaterThan(1);
    });
  });

  // Without a check for leaks: the service still counts unusable posts for a while.
  it.concurrent('shows why a post is unusable, the waiters and the expectations', async () => {
    await service.post({ seid: SEID, merchant_data: '14114532781' });
    await service.post({ nit: NIT, status: 'CON' });
    await service.post({ nit: NIT, nsu: '1123', pedido: 'A-77' }, '/b');
    await service.post({ token: 'x'.repeat(64) });
    const body = { kind: 'token' };
    await service.worker('PUT', '/v1/claims/job-17', { key: ALL, body });
    await service.worker('DELETE', '/v1/claims/job-17', { key: ALL });
    await service.worker('POST', '/v1/expectations', { key: ALL, body: { kind: 'seid' } });
    const gone = new AbortController();
    const waiting = service
      .worker('GET', '/v1/tokens?sid=nobody&wait=30', { key: ALL, signal: gone.signal })
      .catch(() => undefined);
    await onPage({ viewport: { width: 1440, height: 900 }, colorScheme: 'dark' }, async (page) => {
      const posts = page.locator('#posts');
      expect(await posts.innerText()).toMatch(/repeated[\s\S]*status notification|status notification[\s\S]*repeated/);
      expect(await posts.innerText()).toContain('Have support register another address');
      expect(await posts.innerText()).toMatch(/used after/);
      expect(await posts.getByRole('columnheader').count()).toBeGreaterThan(5);
      expect(await page.locator('[data-part=waiting]').innerText()).toMatch(/sid\s+nobody/);
      expect(await page.locator('[data-part=expected]').innerText()).toContain('merchant_data');
      await page.screenshot({ path: join(SCREENSHOTS, 'wide-dark.png'), fullPage: true });
    });
    await onPage({ viewport: { width: 1440, height: 900 }, locale: 'pt-BR' }, async (page) => {
      expect(await page.locator('html').getAttribute('lang')).toBe('pt-BR');
      expect(await page.locator('main').innerText()).toContain('Requer atenção');
      expect(await page.locator('#posts').innerText()).toContain('notificação de status');
      expect(await isWiderThanScreen(page)).toBe(false);
      await page.screenshot({ path: join(SCREENSHOTS, 'wide-pt.png'), fullPage: true });
    });
    gone.abort();
    await waiting;
  });

  it('fits a phone', async () => {
    await onPage({ viewport: { width: 360, height: 740 } }, async (page) => {
      expect(await isWiderThanScreen(page)).toBe(false);
      await page.screenshot({ path: join(SCREENSHOTS, 'phone.png') });
    });
  });

  it('is readable without script', async () => {
    await onPage({ javaScriptEnabled: false }, async (page) => {
      expect(await page.locator('#live').innerText()).toBe('reloads every 10 s');
      expect(await page.locator('#posts').innerText()).toContain('status notification');
    });
  });

  it('shows a key of one merchant nothing of the others', async () => {
    const look = async (page: Page): Promise<void> => {
      expect(await page.locator('main').innerText()).toContain('Only merchant loja2');
      expect(await page.locator('#posts tbody tr').count()).toBe(1);
      expect(await page.content()).not.toMatch(/14114532781|nobody/);
    };
    await onPage({}, look, { key: TWO });
  });

  it('accepts both sign-in methods that it names, each in its own field', async () => {
    const { hostname, port } = new URL(service.service.workerUrl);
    const connection = await RawConnection.open(Number(port));
    try {
      connection.write(`GET / HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`);
      const fields = [...(await connection.answer()).matchAll(/^www-authenticate: (.*)\r$/gim)].map(
        ([, field]) => field,
      );
      expect(fields).toEqual(['Basic realm="worker API", charset="UTF-8"', 'Bearer']);
    } finally {
      connection.destroy();
    }
    // The browser is asked by these fields for what the context holds, and sends nothing before.
    const context = await browser.newContext({ httpCredentials: { username: 'me', password: 'wrong' } });
    try {
      const answer = await (await context.newPage()).goto(service.service.workerUrl, { timeout: scaled(15_000) });
      expect(answer?.status()).toBe(401);
    } finally {
      await context.close();
    }
    await onPage({}, async (page) => {
      expect(await page.locator('main').count()).toBe(1);
    });
  });

  it('loads automatically when the key is in its address', async () => {
    const address = service.service.workerUrl.replace('http://', `http://me:${ALL}@`);
    await onPage(
      {},
      async (page) => {
        await page.locator('.live.on').waitFor();
        await service.post({ seid: SEID.toUpperCase(), merchant_data: 'BY-ADDRESS' });
        await page.getByText('BY-ADDRESS').waitFor({ timeout: scaled(15_000) });
      },
      { address, key: '' },
    );
  });

  it('requires a key, and has a strict content security policy', async () => {
    const { status } = await service.worker('GET', '/');
    expect(status).toBe(401);
    const { headers } = await service.worker('GET', '/', { key: ALL });
    const policy = String(headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
  });

  it.each([
    ['en-US', 'No contact with the service', { width: 1440, height: 900 }, 'dead.png'],
    ['pt-BR', 'Sem contato com o serviço', { width: 360, height: 740 }, 'dead-phone-pt.png'],
  ])('shows in %s since when the service is dead, until it is back', async (locale, title, viewport, file) => {
    const port = String(await freePort());
    const mortal = await RunningService.start({ env: { WORKER_PORT: port } });
    await mortal.post({ seid: SEID, merchant_data: '14114532781' });
    const context = await browser.newContext({ locale, viewport });
    const page = await context.newPage();
    await page.goto(mortal.service.workerUrl);
    await page.locator('.live.on').waitFor();
    const seen = (): Promise<string> => page.locator('main').innerText();
    expect(await seen()).toContain(locale === 'pt-BR' ? 'Tudo em ordem' : 'All is well');
    await mortal.stop();
    await page.getByRole('heading', { name: title }).waitFor();
    expect(await seen()).not.toMatch(/All is well|Tudo em ordem/);
    expect(await page.locator('section.lost time').innerText()).toMatch(/^\d\d:\d\d:\d\d$/);
    expect(await isWiderThanScreen(page)).toBe(false);
    await page.screenshot({ path: join(SCREENSHOTS, file) });
    const revived = await RunningService.start({ env: { WORKER_PORT: port } });
    await page.locator('section.lost').waitFor({ state: 'hidden' });
    expect(await seen()).toContain(locale === 'pt-BR' ? 'Tudo em ordem' : 'All is well');
    await context.close();
    await revived.stop();
  });

  it.each([
    ['en-US', 'Needs a look', { width: 1440, height: 900 }, 'no-shows.png'],
    ['pt-BR', 'Requer atenção', { width: 360, height: 740 }, 'no-shows-phone-pt.png'],
  ])('counts no-shows in %s, filters, pauses, and shows more on request', async (locale, title, viewport, file) => {
    const troubled = await RunningService.start({ env: { TOKEN_TTL_SECONDS: '1' } });
    const context = await browser.newContext({ locale, viewport });
    const page = await context.newPage();
    for (let at = 0; at < 30; at += 1) {
      await troubled.worker('POST', '/v1/expectations', { body: { kind: 'seid', ttl: 1 } });
      await troubled.post({ seid: `${at}-`.padEnd(64, 'x'), sid: `${at}-`.padEnd(64, 's') });
    }
    await page.goto(troubled.service.workerUrl);
    await page.getByRole('heading', { name: title }).waitFor();
    const counts = page.locator('[data-part=status] .recent dd');
    await until('all have ended', async () => (await counts.allInnerTexts()).join() === '0,30,30,0,0', 30_000);
    const rows = page.locator('[data-part=posts] tbody tr:visible');
    expect(await rows.count()).toBe(15);
    expect(await rows.first().innerText()).toMatch(/29-s{9}…s{8}/);
    await page.screenshot({ path: join(SCREENSHOTS, file), fullPage: true });
    await page.locator('#filter').fill(`${'7-'.padEnd(64, 's')}`);
    expect(await rows.count()).toBe(1);
    await page.locator('#filter').fill('');
    await until('all are shown', async () => (await rows.count()) === 30);
    await page.locator('#pause').click();
    await troubled.post({ nit: NIT, nsu: '1' });
    await until('the head goes on', async () => (await page.locator('[data-part=waiting]').count()) === 1);
    expect(await page.locator('[data-part=posts]').innerText()).not.toContain('merchant_usn');
    await page.locator('#pause').click();
    await page.locator('[data-part=posts]').getByText('merchant_usn').waitFor();
    expect(await isWiderThanScreen(page)).toBe(false);
    await context.close();
    await troubled.stop();
  });

  it.each([
    ['en-US', 'Redis is away', { width: 1440, height: 900 }, 'degraded.png'],
    ['pt-BR', 'Redis fora do ar', { width: 360, height: 740 }, 'degraded-phone-pt.png'],
  ])('shows in %s that Redis is away, and what is pending', async (locale, title, viewport, file) => {
    const redis = await startRedis();
    const degraded = await RunningService.start({ env: { STORE_URL: redis.url } });
    await redis.stop();
    await degraded.post({ seid: SEID, merchant_data: '14114532781' });
    const context = await browser.newContext({ locale, viewport });
    const page = await context.newPage();
    await page.goto(degraded.service.workerUrl);
    await page.getByRole('heading', { name: title }).waitFor();
    await page
      .locator('[data-part=status]')
      .getByText(/^1 pend/)
      .waitFor();
    await page.locator('[data-part=posts] a.mono').first().click();
    await page.locator('section[data-part=life]').waitFor();
    expect(await isWiderThanScreen(page)).toBe(false);
    await page.screenshot({ path: join(SCREENSHOTS, file), fullPage: true });
    await context.close();
    await degraded.stop();
  });
});
