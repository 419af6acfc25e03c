/** Checks of posts: each documented shape and each variation of Carat must get a literal 200. */
import { randomBytes } from 'node:crypto';
import { FORM, type Probe, type Probed, probe } from './probe.ts';
import type { Finding } from './verdict.ts';

/** Prefix of every value: it identifies the doctor's posts. */
const MARK = 'DOCTOR';
const AT_ONCE = 20;
const SLOW_MS = 2000;

/** A documented shape, with the selector of its token for a worker. */
export interface TestPost {
  check: string;
  kind: 'seid' | 'nit' | 'token';
  value: string;
  selector: { merchantData?: string; merchantUsn?: string; orderId?: string };
  fields: Record<string, string>;
}

export function testPosts(): TestPost[] {
  const value = (length = 64) => `${MARK}${randomBytes(40).toString('hex')}`.slice(0, length);
  const name = () => `${MARK}${randomBytes(6).toString('hex')}`;
  const [merchantData, merchantUsn, orderId] = [name(), name(), name()];
  const [seid, recharge, cancellation, token, long] = [value(), value(), value(), value(), value(66)];
  return [
    {
      check: 'schedule edit',
      kind: 'seid',
      value: seid,
      selector: { merchantData },
      fields: { seid, merchant_data: merchantData, sid: value() },
    },
    {
      check: 'recharge',
      kind: 'nit',
      value: recharge,
      selector: { merchantUsn },
      fields: { nit: recharge, merchantUSN: merchantUsn },
    },
    {
      check: 'cancellation',
      kind: 'nit',
      value: cancellation,
      selector: { orderId },
      fields: { nit: cancellation, pedido: orderId, nsu: name(), codigoLoja: 'L1' },
    },
    { check: 'generic operation', kind: 'token', value: token, selector: {}, fields: { token } },
    { check: 'merchant registration', kind: 'token', value: long, selector: {}, fields: { token: long } },
  ];
}

export async function examinePosts(url: URL, posts: readonly TestPost[], timeoutMs: number): Promise<Finding[]> {
  const form = (fields: Record<string, string>) => new URLSearchParams(fields).toString();
  const [first] = posts;
  const again = form(first?.fields ?? {});
  const times: number[] = [];
  const tried = async (check: string, one: Probe): Promise<Finding> => {
    const seen = await probe(url, one, timeoutMs);
    times.push(seen.ms);
    return findingOf(check, seen);
  };
  const findings: Finding[] = [];
  for (const { check, fields } of posts) {
    findings.push(await tried(check, { body: form(fields), contentType: `${FORM}; charset=utf-8` }));
    // A URL without any answer gets no further requests.
    if (findings[0]?.seen.startsWith('no answer') === true) return findings;
  }
  findings.push(
    await tried('no charset', { body: again }),
    await tried('charset ISO-8859-1', { body: again, contentType: `${FORM}; charset=ISO-8859-1` }),
    await tried('unknown fields', { body: `${again}&campo_novo=a%C3%A7%C3%A3o&versao=9.9` }),
    await tried('empty body', { body: '' }),
    await tried('status notification', { body: form({ nit: 'DOCTOR', status: 'CON', pedido: 'DOCTOR' }) }),
  );
  for (const method of ['GET', 'HEAD']) {
    const finding = await tried(method, { method, contentType: '' });
    const mend = 'Carat only posts, but support and monitors try the URL this way';
    findings.push(finding.state === 'fail' ? { ...finding, state: 'warn', mend } : finding);
  }
  const all = await Promise.all(Array.from({ length: AT_ONCE }, () => probe(url, { body: again }, timeoutMs)));
  const bad = all.find(({ status }) => status !== 200);
  findings.push(
    bad === undefined
      ? { check: 'concurrency', state: 'pass', seen: `${AT_ONCE} at once, all answered 200` }
      : { ...findingOf('concurrency', bad), seen: `of ${AT_ONCE} at once, one: ${seenOf(bad)}` },
  );
  const longest = Math.max(...times, ...all.map(({ ms }) => ms));
  const mend = "Carat's patience is not published, and the buyer waits for this answer: answer first, work later";
  findings.push({
    check: 'answer time',
    state: longest > SLOW_MS ? 'warn' : 'pass',
    seen: `at most ${longest} ms`,
    mend,
  });
  return findings;
}

function seenOf({ status, error, location }: Probed): string {
  if (status === 0) return `no answer: ${error}`;
  return `answered ${status}${location === undefined ? '' : `, to ${location}`}`;
}

function findingOf(check: string, probed: Probed): Finding {
  const { status } = probed;
  const seen = seenOf(probed);
  if (status === 200) return { check, state: 'pass', seen };
  return { check, state: 'fail', seen, mend: mendOf(status) };
}

function mendOf(status: number): string {
  if (status === 0) return 'see that the server runs, and that firewall and proxy let the request through to it';
  if (status >= 300 && status < 400)
    return 'register the address it redirects to, or answer here: Carat does not follow';
  if (status >= 200 && status < 300) return 'answer exactly 200; 201, 202 and 204 are failures to Carat';
  if (status === 404) return 'the path is not served: compare it with AUTHENTICITY_PATHS and the proxy';
  if (status === 401 || status === 403) return 'ask for no credentials on this path, and let every source in';
  if (status === 502 || status === 504) return 'the proxy does not reach what is behind it';
  return 'answer 200, whatever is posted';
}
