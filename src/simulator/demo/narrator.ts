/**
 * Output of the demo, step by step: text for people, or one JSON object per line. It never contains
 * a token's value.
 */
import { createHmac, randomBytes } from 'node:crypto';
import type { CallReport, TokenSource } from '../../carat/index.ts';
import type { Asks } from '../../client/index.ts';
import type { PostMade } from '../world.ts';

export type Step =
  | { step: 'scenario'; name: string; expects: string }
  | { step: 'call'; call: string; outcome: string; code: string | undefined; ms: number }
  | { step: 'post'; by: string; token: string; answered: number; ms: number }
  | { step: 'source'; what: string; token?: string; ms: number }
  | { step: 'end'; name: string; ok: boolean; came: string; ms: number }
  | { step: 'summary'; scenarios: number; failed: string[]; ms: number };

export type Print = (step: Step) => void;

/** Creates an output for a stream: one text line a step, or JSON lines. */
export function createPrinter(write: (text: string) => void, json: boolean): Print {
  return (step) => write(`${json ? JSON.stringify(step) : inWords(step)}\n`);
}

function inWords(step: Step): string {
  switch (step.step) {
    case 'scenario':
      return `\n▸ ${step.name} (should end: ${step.expects})`;
    case 'call':
      return `    call   ${step.call.padEnd(28)} ${step.outcome}${step.code === undefined ? '' : `, code ${step.code}`}  ${time(step.ms)}`;
    case 'post':
      return `    post   during ${step.by.padEnd(21)} token ${step.token}, answered ${step.answered || 'nothing'}  ${time(step.ms)}`;
    case 'source':
      return `    worker ${step.what.padEnd(28)} ${step.token === undefined ? '' : `token ${step.token}  `}${time(step.ms)}`;
    case 'end':
      return `  ${step.ok ? '✓' : '✗ NOT AS EXPECTED:'} ${step.came}  ${time(step.ms)}`;
    case 'summary':
      return `\n${step.scenarios - step.failed.length} of ${step.scenarios} ended as expected, in ${time(step.ms)}${step.failed.map((name) => `\n  ✗ ${name}`).join('')}`;
  }
}

function time(ms: number): string {
  return ms < 1000 ? `${ms.toFixed(1)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

/**
 * Key of this process for 8 hexadecimal digits of an HMAC: they follow a token through the steps
 * and reveal nothing.
 */
const KEY = randomBytes(32);
function fingerprint(value: string): string {
  return createHmac('sha256', KEY).update(value).digest('hex').slice(0, 8);
}

export function printCall(print: Print, { call, outcome, caratCode, ms }: CallReport): void {
  print({ step: 'call', call, outcome, code: caratCode, ms });
}

export function printPost(print: Print, { by, fields, status, ms }: PostMade): void {
  const value = fields['seid'] ?? fields['nit'] ?? fields['token'] ?? '';
  print({ step: 'post', by, token: fingerprint(value), answered: status, ms });
}

type Report = <T>(what: string, work: Promise<T>, value?: (result: T) => string | undefined) => Promise<T>;

/** Reports each action of a worker, its duration and its token. */
function reporterTo(print: Print): Report {
  return async (what, work, value) => {
    const started = performance.now();
    let token: string | undefined;
    let how = value === undefined ? '' : ', no token';
    try {
      const result = await work;
      token = value?.(result);
      if (token !== undefined) how = '';
      return result;
    } finally {
      const shown = token === undefined ? {} : { token: fingerprint(token) };
      print({ step: 'source', what: what + how, ...shown, ms: performance.now() - started });
    }
  };
}

/** Wraps a token source and reports its calls. */
export function reportingSource(print: Print, source: TokenSource): TokenSource {
  const report = reporterTo(print);
  return {
    announce: (request) => report(`announces a ${request.kind}`, source.announce(request)),
    take: (announced, options) => report('waits', source.take(announced, options), (token) => token?.value),
    used: (token) => report('spends', source.used(token), () => token.value),
    release: (token) => report('gives back', source.release(token), () => token.value),
    cancel: (announced) => report('cancels the announcement', source.cancel(announced)),
  };
}

/** Wraps the asks of a worker's client and reports them. */
export function reportingAsks(print: Print, service: Asks): Asks {
  const report = reporterTo(print);
  const nitOf = ({ nit }: { nit: string }): string => nit;
  const tokenOf = ({ token }: { token: string }): string => token;
  return {
    askScheduleEdit: (...args) => report('asks for a SEID', service.askScheduleEdit(...args), ({ seid }) => seid),
    askRecharge: (...args) => report('asks for a NIT', service.askRecharge(...args), nitOf),
    askGenericToken: (...args) => report('asks for a token', service.askGenericToken(...args), tokenOf),
    askMerchantToken: (...args) => report('asks for a token', service.askMerchantToken(...args), tokenOf),
    askCancellation: (...args) => report('asks for a NIT', service.askCancellation(...args), nitOf),
    decideRecharge: (...args) => report(`decides: ${args[1]}`, service.decideRecharge(...args), nitOf),
    readRecharge: (...args) => report('waits for the end', service.readRecharge(...args), nitOf),
  };
}
