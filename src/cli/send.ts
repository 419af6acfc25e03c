/** `send`: posts to an authenticity URL as Carat does. */
import { randomBytes, randomInt } from 'node:crypto';
import { postForm } from '../simulator/poster.ts';
import { type Command, EXIT, httpAddress, seconds, text, UsageError } from './command.ts';

const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyz';

/** The documented shapes of the post, by service. */
const SHAPES: Readonly<Record<string, (value: string, correlator: string) => Record<string, string>>> = {
  'schedule-edit': (seid, merchant_data) => ({ seid, merchant_data, sid: randomBytes(32).toString('hex') }),
  recharge: (nit, merchantUSN) => ({ nit, merchantUSN }),
  'generic-operation': (token) => ({ token }),
  cancellation: (nit, nsu) => ({ nit, nsu, pedido: `ORDER-${nsu}`, codigoLoja: 'L1' }),
};
const BY_KIND: Readonly<Record<string, string>> = {
  seid: 'schedule-edit',
  nit: 'recharge',
  token: 'generic-operation',
};

export const send: Command = {
  name: 'send',
  summary: "Post to an authenticity URL as Carat does, one of each service's shapes.",
  positional: '[URL]',
  options: {
    kind: { type: 'string', value: 'KIND', help: 'seid (default), nit or token; or a service, see below.' },
    value: { type: 'string', value: 'TEXT', help: 'The token itself; default 64 random characters.' },
    'merchant-data': { type: 'string', value: 'TEXT', help: 'merchant_data or merchantUSN; default random digits.' },
    timeout: { type: 'string', value: 'SECONDS', help: 'How long the answer may take; default 30.' },
  },
  more: `Services: ${Object.keys(SHAPES).join(', ')}. URL: default AUTHENTICITY_URL, else http://127.0.0.1:8080/authenticity.`,
  async run(args, terminal) {
    const kind = text(args, 'kind') ?? 'seid';
    const service = BY_KIND[kind] ?? kind;
    const shape = SHAPES[service];
    if (shape === undefined) {
      throw new UsageError(`--kind: expected seid, nit, token, ${Object.keys(SHAPES).join(', ')}, got "${kind}"`);
    }
    const usual = terminal.env['AUTHENTICITY_URL'] ?? 'http://127.0.0.1:8080/authenticity';
    const url = httpAddress('send', args.positionals[0] ?? usual);
    const value = text(args, 'value') ?? Array.from({ length: 64 }, () => ALPHABET[randomInt(36)]).join('');
    const correlator = text(args, 'merchant-data') ?? String(randomInt(1e11, 1e12));
    const fields = shape(value, correlator);
    const began = performance.now();
    const status = await postForm(url, fields, { timeoutMs: seconds(args, 'timeout', 30) });
    const ms = Math.round(performance.now() - began);
    const ok = status === 200;
    if (args.values['json'] === true) terminal.out(JSON.stringify({ ok, status, ms, fields }));
    else {
      for (const [name, field] of Object.entries(fields)) terminal.out(`${name}=${field}`);
      const answer = status === 0 ? 'no answer' : String(status);
      terminal.error(terminal.paint(ok ? 'green' : 'red', `answered ${answer} in ${ms} ms`));
    }
    return ok ? EXIT.ok : status === 0 ? EXIT.unreachable : EXIT.failed;
  },
};
