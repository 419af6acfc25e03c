/** The head of the operator page: the state of the last minutes. */
import { afterEach, expect, it } from 'vitest';
import { startAskingWorld } from '../asking/world.ts';
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

it('is good without problems', async () => {
  await start();
  expect(await status()).toMatch(/class="status good".*All is well/s);
});

it('warns of every no-show and orphan of the last 15 minutes, even those that the log omits', async () => {
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

it('has a hidden card for lost contact, which the script shows', async () => {
  await start();
  const { text } = await running.worker('GET', '/');
  expect(text).toMatch(/<section class="status bad lost" role="alert" aria-labelledby="lost" hidden>/);
});

it('counts requests that were not served', async () => {
  await start();
  await fetch(`${running.service.authenticityUrl}/nowhere`, { headers: { connection: 'close' } });
  await until('it is counted', async () => /<dt>Not served<\/dt><dd>1<\/dd>/.test(await status()));
});

it('shows the life of a token by its fingerprint and by its id, and filters the posts, without script', async () => {
  await start();
  await running.post({ seid: 'value-1', sid: 's1' });
  await running.post({ seid: 'value-2', sid: 's2' });
  const { id } = (await running.worker('PUT', '/v1/claims/job-1', { body: { sid: 's1' } })).json;
  await running.worker('DELETE', '/v1/claims/job-1');
  const [second, first] = (await running.worker('GET', '/v1/posts')).json.posts;
  for (const q of [first.fingerprint, id]) {
    const { text } = await running.worker('GET', `/?q=${q}`);
    const [life = ''] = /<section data-part="life".*?<\/section>/s.exec(text) ?? [];
    expect(life).toMatch(/posted: kept.*claimed.*job-1.*used.*job-1/s);
    expect(text).not.toContain(second.fingerprint);
  }
  const { text } = await running.worker('GET', '/?q=seid+s2');
  expect(text).toContain(second.fingerprint);
  expect(text).not.toContain(first.fingerprint);
  expect((await running.worker('GET', '/?q=%3Cb%3E')).text).toContain('value="&lt;b&gt;"');
  expect((await running.worker('GET', '/?q=nothing')).text).toContain('No post has this.');
});

it('says who can ask for a token without correlators: workers by its kind, or none', async () => {
  await start();
  const correlators = async () => {
    const { text } = await running.worker('GET', '/');
    return [/shared out by kind/, /no worker can ask for it/].map((one) => one.test(text));
  };
  await running.post({ token: 'value-1', sid: 'a\nb' });
  await until('the page shows it', async () => `${await correlators()}` === 'false,true');
  await running.post({ token: 'value-2' });
  await until('the page shows both', async () => `${await correlators()}` === 'true,true');
  expect((await running.worker('PUT', '/v1/claims/job-1', { body: { kind: 'token' } })).json.value).toBe('value-2');
});

it('starts the plots at 15 minutes', async () => {
  await start();
  await running.post({ seid: 'value-1', sid: 's1' });
  expect((await running.worker('GET', '/')).text).toContain('1 in the last 15 min, by kind and outcome');
});

it('shows which recharges are owed, and how they ended', async () => {
  const world = await startAskingWorld();
  running = world.services[0] as RunningService;
  const head = (owed: number): RegExp => new RegExp(`<dt>Recharges owed</dt><dd>${owed}</dd>`);
  const { nit } = (await world.ask('POST', '/v1/recharges', { body: { merchant_usn: '2398' } })).json;
  await until('one is owed', async () => head(1).test(await status()));
  await world.effect(nit);
  await world.ask('PUT', `/v1/recharges/${nit}`, { body: { decision: 'confirm' } });
  await until('none is owed', async () => head(0).test(await status()));
  const { text } = await running.worker('GET', '/');
  const [section = ''] = /<section data-part="recharges".*?<\/section>/s.exec(text) ?? [];
  expect(section).toMatch(/2398.*confirmed/s);
  expect(text).not.toContain(nit);
  await world.close();
});
