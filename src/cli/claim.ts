/** `claim`, and the ends of a claim: `used` and `release`. */
import type { ClaimRequest } from '../client/index.ts';
import { type Arguments, type Command, EXIT, seconds, text, UsageError, WORKER_OPTIONS } from './command.ts';
import type { Console } from './terminal.ts';
import { clientOf, printToken, SELECTOR_OPTIONS, selectorOf } from './worker.ts';

export const claim: Command = {
  name: 'claim',
  summary: 'Take a token exclusively and print its value.',
  options: {
    ...SELECTOR_OPTIONS,
    id: { type: 'string', value: 'ID', help: 'The claim; the same one again gets the same token. Default random.' },
    lease: { type: 'string', value: 'SECONDS', help: 'How long it is held; default 60.' },
    timeout: { type: 'string', value: 'SECONDS', help: 'How long to wait for one; default 60, 0 looks once.' },
    ...WORKER_OPTIONS,
  },
  more: 'With a --kind alone: the oldest of that kind which came without any correlator.',
  async run(args, terminal) {
    const request = { ...selectorOf(args), claimId: text(args, 'id'), lease: seconds(args, 'lease', 60, 600) };
    const options = { timeout: seconds(args, 'timeout', 60), signal: terminal.signal };
    const token = await clientOf(args, terminal).claim(request as ClaimRequest, options);
    if (token === undefined) return EXIT.nothingCame;
    printToken(token, args, terminal);
    return EXIT.ok;
  },
};

export const used: Command = ending('used', "Say that a claim's token was used: it is never handed out again.");
export const release: Command = ending('release', "Put a claim's token back.");

function ending(name: 'used' | 'release', summary: string): Command {
  return {
    name,
    summary,
    positional: 'CLAIM_ID',
    options: WORKER_OPTIONS,
    async run(args: Arguments, terminal: Console) {
      const [id] = args.positionals;
      if (id === undefined) throw new UsageError(`${name}: expected the id of a claim`);
      const client = clientOf(args, terminal);
      await client[name]({ claim: { id }, merchant: client.merchant }, { signal: terminal.signal });
      if (args.values['json'] === true) terminal.out(JSON.stringify({ ok: true, claim: id }));
      return EXIT.ok;
    },
  };
}
