/** `wait`: waits for a token and reads it. */
import type { Selector } from '../client/index.ts';
import { type Command, EXIT, seconds, UsageError, WORKER_OPTIONS } from './command.ts';
import { clientOf, printToken, SELECTOR_OPTIONS, selectorOf } from './worker.ts';

export const wait: Command = {
  name: 'wait',
  summary: 'Wait for a token and print its value. Takes nothing away.',
  options: {
    ...SELECTOR_OPTIONS,
    timeout: { type: 'string', value: 'SECONDS', help: 'How long; default 60, 0 looks once.' },
    ...WORKER_OPTIONS,
  },
  async run(args, terminal) {
    const selector = selectorOf(args);
    const { kind, ...correlators } = selector;
    if (Object.values(correlators).every((value) => value === undefined)) {
      throw new UsageError(`expected a correlator beside --kind ${kind}; only claim takes a token by its kind alone`);
    }
    const options = { timeout: seconds(args, 'timeout', 60), signal: terminal.signal };
    const token = await clientOf(args, terminal).waitForToken(selector as Selector, options);
    if (token === undefined) return EXIT.nothingCame;
    printToken(token, args, terminal);
    return EXIT.ok;
  },
};
