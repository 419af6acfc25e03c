/** The head of the operator page: what it says of the last minutes, in full. */
import { afterEach, expect, it } from 'vitest';
import { EmbeddedBench } from '../support/embedded.ts';
import { RunningService, type StartOptions } from '../support/service.ts';
import { until } from '../support/until.ts';

let running: RunningService;
afterEach(() => running.stop());

async function start(options: StartOptions = {}): Promise<void> {
  running = await RunningService.start(options);
}

async function status(language = 'en'): Promise<string> {
  const { text } = await running.worker('GET', '/', { headers: { 'accept-language': language } });
  return /<section class="status [a-z]+" data-part="status".*?<\/section>/s.exec(text)?.[0] ?? '';
}

it('is good while nothing is wrong', async () => {
  await start();
  expect(await status()).toMatch(/class="status good".*All is well/s);
});

it('warns of every no-show and orphan of the last 15 minutes, also of those that the log does not list', async () => {
  await start({ env: { TOKEN_TTL_SECONDS: '1' } });
  for (let at = 0; at < 40; at += 1) {
    await running.worker('POST', '/v1/expectations', { body: { kind: 'seid', ttl: 1 } });
    await running.post({ seid: `value-${at}`, sid: `s${at}` });
  }
  await until('all have ended', async () => (await status()).includes('40 no-shows, 40 orphans'), 30_000);
  expect(await status()).toMatch(/class="status warn".*Needs a look/s);
  expect(await status('pt-BR')).toContain('Nos últimos 15 minutos: 40 que não vieram, 40 órfãos.');
});

it('warns of unusable posts', async () => {
  await start();
  await running.post({});
  await until('it says so', async () => /class="status warn".*1 unusable post\./s.test(await status()));
});

it('is bad when a post was not kept', async () => {
  const bench = await EmbeddedBench.make();
  bench.store.put = () => Promise.reject(new Error('no'));
  await start({ store: bench.store });
  expect((await running.post({ seid: 'lost', sid: 's' })).status).toBe(200);
  await until('it says so', async () => /class="status bad".*1 post not kept in time/s.test(await status()));
  await running.stop();
  await bench.remove();
});

it('has a card for lost contact, which is hidden until the script shows it', async () => {
  await start();
  const { text } = await running.worker('GET', '/');
  expect(text).toMatch(/<section class="status bad lost" role="alert" aria-labelledby="lost" hidden>/);
});
