/** The outcome of a post. */
import { expect } from 'vitest';
import { RawConnection, rawRequest } from '../support/raw-http.ts';
import type { Row, Trial } from './trial.ts';

/** Sends a body unchanged to the row's path. */
const raw = (trial: Trial, body: string, type?: string, method = 'POST') =>
  trial.send(async () => {
    const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type };
    const init = { method, headers: { connection: 'close', ...headers }, ...(body === '' ? {} : { body }) };
    const answer = await fetch(`${trial.world.running.service.authenticityUrl}/${trial.merchant}`, init);
    return { status: answer.status, text: await answer.text(), headers: {}, json: undefined };
  });

/**
 * Sends a body that is shorter than its `Content-Length`. With `end`, then half-closes; otherwise
 * sends nothing more.
 */
const unfinished = (trial: Trial, { end }: { end: boolean }) =>
  trial.send(async () => {
    const { port } = new URL(trial.world.running.service.authenticityUrl);
    const connection = await RawConnection.open(Number(port));
    const headers = [['Content-Length', '100']] as const;
    connection.write(rawRequest({ target: `/${trial.merchant}`, headers, body: `seid=${trial.value()}` }));
    if (end) connection.halfClose();
    const answer = await connection.answer();
    await connection.isClosed();
    connection.destroy();
    const [head = '', text = ''] = answer.split('\r\n\r\n');
    return { status: Number(head.split(' ')[1]), text, headers: {}, json: undefined };
  });
const FORM = 'application/x-www-form-urlencoded';

export const posts: Record<string, Row> = {
  'post.new': (t) => t.post(),
  'post.again': async (t) => {
    await t.post();
    return t.post();
  },
  'post.again-claimed': async (t) => {
    await t.post();
    await t.claim();
    const again = await t.post();
    expect((await t.claim()).json).toMatchObject({ claim: { deliveries: 1 } });
    return again;
  },
  'post.again-used': async (t) => {
    await t.post();
    await t.claim();
    await t.use();
    const again = await t.post();
    expect((await t.claim('two')).status).toBe(t.key === 'pool' ? 204 : 410);
    return again;
  },
  'post.other-value': async (t) => {
    await t.post();
    return t.post(2);
  },
  'post.unknown-fields': (t) => t.postForm({ ...t.fields(), codigoLoja: 'L1', novo: 'campo' }),
  'post.other-names': async (t) => {
    const seen = await t.postForm({ NIT: t.value(), nsu: t.name, pedido: 'p' });
    expect((await t.read({ kind: 'nit' })).json).toMatchObject({ merchant_usn: t.name, order_id: 'p' });
    return seen;
  },
  'post.malformed-correlator': async (t) => {
    const seen = await t.postForm({ [t.kind]: t.value(), merchant_data: 'x'.repeat(65) });
    expect((await t.claim()).status).toBe(204);
    return seen;
  },
  'post.empty': (t) => raw(t, '', FORM),
  'post.not-a-form': (t) => raw(t, '{"seid":"x"}', 'application/json'),
  'post.no-token': (t) => t.postForm({ merchant_data: 'x' }),
  'post.bad-value': (t) => t.postForm({ seid: 'a b' }),
  'post.several-tokens': (t) => t.postForm({ seid: 'a', nit: 'b' }),
  'post.status-notification': (t) => t.postForm({ nit: t.value(), status: 'CON', nsu: t.name }),
  'post.too-large': (t) => raw(t, `seid=${t.value()}&x=${'x'.repeat(16 * 1024)}`, FORM),
  'post.cut-off': (t) => unfinished(t, { end: true }),
  'post.never-ends': (t) => unfinished(t, { end: false }),
  'post.not-post': (t) => raw(t, '', undefined, 'GET'),
};

export const strangers: Record<string, Row> = {
  'post.not-allowed': async (t) => {
    const seen = await t.post();
    expect((await t.read()).status).toBe(204);
    return seen;
  },
};

/** With `ACCEPT=expected`. */
export const verdicts: Record<string, Row> = {
  'accept.expected': async (t) => {
    await t.expect();
    const seen = await t.post();
    expect((await t.claim()).json).toMatchObject({ value: t.value() });
    return seen;
  },
  'accept.not-expected': async (t) => {
    const seen = await t.post();
    expect((await t.claim()).status).toBe(204);
    return seen;
  },
  'accept.second-value': async (t) => {
    await t.expect();
    await t.post();
    const second = await t.post(2);
    expect((await t.claim()).json).toMatchObject({ value: t.value(), distinct: 1 });
    return second;
  },
  'accept.again': async (t) => {
    await t.expect();
    await t.post();
    return t.post();
  },
  'accept.too-late': async (t) => {
    await t.post();
    await t.expect();
    const again = await t.post();
    expect((await t.claim()).status).toBe(204);
    return again;
  },
  'accept.other-kind': async (t) => {
    await t.expect({ kind: t.kind === 'seid' ? 'nit' : 'seid' });
    return t.post();
  },
  'accept.cancelled': async (t) => {
    const { json } = await t.expect();
    await t.cancel(json.id);
    return t.post();
  },
  'accept.over': async (t) => {
    const { json } = await t.expect({ ttl: 1 });
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, Date.parse(json.expires_at) - Date.now()) + 100));
    return t.post();
  },
  'accept.two': async (t) => {
    await t.expect();
    await t.expect();
    await t.post();
    return t.post(2);
  },
};
