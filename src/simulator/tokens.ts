/** Services with a token without correlator: generic operations and the registration of merchants. */
import type { FastifyInstance } from 'fastify';
import { addCall, type Call, type Context, isFields } from './call.ts';
import {
  AUTHENTICITY,
  BAD_AUTHORIZER,
  badField,
  deniedBy,
  FORMAT,
  failure,
  firstBad,
  OK_MESSAGE,
  success,
  TERMINAL_BUSY,
} from './codes.ts';
import type { Token } from './world.ts';

const BASE = '/e-sitef/api';
/** Operations without a token. Carat documents per routing which ones need none. */
const TOKENLESS: ReadonlySet<string> = new Set(['1', '2', '3']);

export function addTokens(app: FastifyInstance, context: Context): void {
  const { world } = context;
  const merchant = 'headers';

  const issueToken = async (call: Call, service: Token['service']) => {
    const issued: Token = { ...world.issue(call.owner, call.faults.has('expiry')), service };
    world.tokens.set(issued.id, issued);
    return call.post(issued, (token) => ({ token }));
  };
  /** Carat validates and deactivates the token before any other step. */
  const burn = (call: Call, value: unknown): readonly [string, string] | undefined => {
    const token = typeof value === 'string' ? world.find(world.tokens, value, call.owner) : undefined;
    if (token === undefined) return AUTHENTICITY;
    const { status } = token;
    token.status = status === 'NOV' ? 'CON' : status;
    return status === 'NOV' ? undefined : AUTHENTICITY;
  };

  addCall(app, context, {
    name: 'genericOperations.askToken',
    method: 'GET',
    url: `${BASE}/v1/token`,
    merchant,
    handle: async (call) => {
      const [code, message] = deniedBy(call) ?? ((await issueToken(call, 'token')) ? ['0', OK_MESSAGE] : AUTHENTICITY);
      return { status: code === '0' ? 200 : 400, body: { responseCode: code, responseMessage: message } };
    },
  });

  addCall(app, context, {
    name: 'genericOperations.run',
    method: 'POST',
    url: `${BASE}/v1/genericoperations`,
    merchant,
    enter: (call) => {
      const terminal = `${call.owner} ${String(parametersOf(call)['terminal_id'])}`;
      if (world.terminals.has(terminal)) {
        world.terminalClashes += 1;
        return { answer: failure(TERMINAL_BUSY) };
      }
      world.terminals.add(terminal);
      return { leave: () => world.terminals.delete(terminal) };
    },
    handle: (call) => {
      const parameters = parametersOf(call);
      const operation = String(call.body['operation']);
      const formats = { terminal_id: /^[0-9A-Za-z]{8}$/, merchant_usn: FORMAT.usn, subfunction: /^[0-9]{2}$/ };
      const bad = firstBad(parameters, formats) ?? (/^[0-9]{1,3}$/.test(operation) ? undefined : 'operation');
      if (bad !== undefined) return failure(badField(bad));
      if (!FORMAT.authorizer.test(String(parameters['authorizer_id']))) return failure(BAD_AUTHORIZER);
      const needed = !TOKENLESS.has(operation);
      const refused = needed ? burn(call, parameters['token']) : undefined;
      const denied = refused ?? deniedBy(call);
      if (denied !== undefined) return failure(denied);
      return success({ operation, terminal_id: parameters['terminal_id'], merchant_usn: parameters['merchant_usn'] });
    },
  });

  addCall(app, context, {
    name: 'merchants.askToken',
    method: 'POST',
    url: `${BASE}/v1/token/merchants`,
    merchant,
    handle: async (call) => {
      const [code, message] =
        deniedBy(call) ?? ((await issueToken(call, 'merchants')) ? ['0', OK_MESSAGE] : AUTHENTICITY);
      return { status: code === '0' ? 200 : 400, body: { response_code: Number(code), response_message: message } };
    },
  });

  addCall(app, context, {
    name: 'merchants.register',
    method: 'POST',
    url: `${BASE}/v1/merchants`,
    merchant,
    handle: (call) => {
      const refused = burn(call, call.headers['token']) ?? deniedBy(call);
      return refused === undefined ? success({}, 201) : failure(refused);
    },
  });
}

function parametersOf(call: Call): Record<string, unknown> {
  return isFields(call.body['parameters']) ? call.body['parameters'] : {};
}
