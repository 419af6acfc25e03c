/** `doctor URL`: checks before registration whether any authenticity URL satisfies Carat. */
import { type Command, EXIT, httpAddress, seconds, text, WORKER_OPTIONS } from '../command.ts';
import { clientOf } from '../worker.ts';
import { examineName, examineTls } from './address.ts';
import { announce, examineHandover } from './handover.ts';
import { examinePosts, testPosts } from './posts.ts';
import { type Finding, printVerdict, type Verdict } from './verdict.ts';

/** Checks that are impossible from here; see docs/cli.md. */
const UNKNOWABLE: readonly Finding[] = [
  {
    check: 'seen from Carat',
    state: 'unknown',
    seen: "this machine's way to the URL need not be Carat's: firewalls, DNS, routes",
  },
  { check: "Carat's patience", state: 'unknown', seen: 'how long Carat waits for the answer is not published' },
  {
    check: "Carat's authorities",
    state: 'unknown',
    seen: 'which certificate authorities Carat trusts is not published',
  },
  { check: 'registration', state: 'unknown', seen: "only Carat's support knows which URL is registered" },
];

export const doctor: Command = {
  name: 'doctor',
  summary: 'Check whether an authenticity URL would satisfy Carat, before it is registered.',
  positional: 'URL',
  options: {
    timeout: { type: 'string', value: 'SECONDS', help: 'How long each answer may take; default 10.' },
    ca: { type: 'string', value: 'FILE', help: 'Trust this authority (PEM) instead of the public ones.' },
    ...WORKER_OPTIONS,
    worker: {
      type: 'string',
      value: 'URL',
      help: 'Also see that the tokens arrive here; they are used up afterwards.',
    },
  },
  more:
    'It posts test tokens whose values begin with DOCTOR. Without --worker they stay until they expire, and two of them\n' +
    'carry no correlator: do not run it so against a URL whose workers claim tokens by their kind.',
  async run(args, terminal) {
    const given = httpAddress('doctor', args.positionals[0]);
    const url = new URL(given);
    const timeoutMs = seconds(args, 'timeout', 10, 600);
    const posts = testPosts();
    const client = text(args, 'worker') === undefined ? undefined : clientOf(args, terminal);
    const cancel = await (client === undefined ? undefined : announce(client, posts));
    const findings = await examineName(url);
    if (findings.every(({ state }) => state !== 'fail')) {
      findings.push(...(await examineTls(url, timeoutMs, text(args, 'ca'))));
      findings.push(...(await examinePosts(url, posts, timeoutMs)));
      if (client !== undefined) findings.push(...(await examineHandover(client, posts)));
    }
    await cancel?.();
    findings.push(...UNKNOWABLE);
    const verdict: Verdict = { url: given, ok: findings.every(({ state }) => state !== 'fail'), findings };
    if (args.values['json'] === true) terminal.out(JSON.stringify(verdict));
    else printVerdict(verdict, terminal);
    return verdict.ok ? EXIT.ok : EXIT.failed;
  },
};
