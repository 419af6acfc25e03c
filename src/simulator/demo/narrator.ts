/** Tells what happens, step by step: as text for people, or as one JSON object per line for machines. No value of a token is told. */
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

export type Tell = (step: Step) => void;

/** A teller for a stream: text with a step a line, or JSON lines. */
export function teller(write: (text: string) => void, json: boolean): Tell {
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
      return `  ${step.ok ? '✓' : '✗ NOT AS IT SHOULD:'} ${step.came}  ${time(step.ms)}`;
    case 'summary':
      return `\n${step.scenarios - step.failed.length} of ${step.scenarios} ended as they should, in ${time(step.ms)}${step.failed.map((name) => `\n  ✗ ${name}`).join('')}`;
  }
}

function time(ms: number): string {
  return ms < 1000 ? `${ms.toFixed(1)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

/** 8 hex of an HMAC under a key of this process: enough to follow a token through the steps, and nothing more. */
const KEY = randomBytes(32);
function fingerprint(value: string): string {
  return createHmac('sha256', KEY).update(value).digest('hex').slice(0, 8);
}

export function tellCall(tell: Tell, { call, outcome, caratCode, ms }: CallReport): void {
  tell({ step: 'call', call, outcome, code: caratCode, ms });
}

export function tellPost(tell: Tell, { by, fields, status, ms }: PostMade): void {
  const value = fields['seid'] ?? fields['nit'] ?? fields['token'] ?? '';
  tell({ step: 'post', by, token: fingerprint(value), answered: status, ms });
}

type Told = <T>(what: string, work: Promise<T>, value?: (result: T) => string | undefined) => Promise<T>;

/** Tells what a worker does, how long it took, and of which token it is. */
function toldTo(tell: Tell): Told {
  return async (what, work, value) => {
    const started = performance.now();
    let token: string | undefined;
    let how = value === undefined ? '' : ' in vain';
    try {
      const result = await work;
      token = value?.(result);
      if (token !== undefined) how = '';
      return result;
    } finally {
      const shown = token === undefined ? {} : { token: fingerprint(token) };
      tell({ step: 'source', what: what + how, ...shown, ms: performance.now() - started });
    }
  };
}

/** A token source that tells what is asked of it. */
export function toldSource(tell: Tell, source: TokenSource): TokenSource {
  const told = toldTo(tell);
  return {
    announce: (request) => told(`announces a ${request.kind}`, source.announce(request)),
    take: (announced, options) => told('waits', source.take(announced, options), (token) => token?.value),
    used: (token) => told('spends', source.used(token), () => token.value),
    release: (token) => told('gives back', source.release(token), () => token.value),
    cancel: (announced) => told('expects no more', source.cancel(announced)),
  };
}

/** The asks of a worker's client; they tell what the service is asked for. */
export function toldAsks(tell: Tell, service: Asks): Asks {
  const told = toldTo(tell);
  const nitOf = ({ nit }: { nit: string }): string => nit;
  const tokenOf = ({ token }: { token: string }): string => token;
  return {
    askScheduleEdit: (...args) => told('asks for a SEID', service.askScheduleEdit(...args), ({ seid }) => seid),
    askRecharge: (...args) => told('asks for a NIT', service.askRecharge(...args), nitOf),
    askGenericToken: (...args) => told('asks for a token', service.askGenericToken(...args), tokenOf),
    askMerchantToken: (...args) => told('asks for a token', service.askMerchantToken(...args), tokenOf),
    askCancellation: (...args) => told('asks for a NIT', service.askCancellation(...args), nitOf),
    decideRecharge: (...args) => told(`decides: ${args[1]}`, service.decideRecharge(...args), nitOf),
    readRecharge: (...args) => told('waits for the end', service.readRecharge(...args), nitOf),
  };
}
