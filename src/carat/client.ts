/** The typed client for Carat's calls, composed of one file per service. */
import * as z from 'zod';
import { type Addresses, addressesFor, type Environment } from './addresses.ts';
import { checked, fields, MAX_MS, milliseconds } from './arguments.ts';
import { cancellations } from './cancellations.ts';
import { genericOperations } from './generic-operations.ts';
import { type CallReport, createTransport } from './http.ts';
import { recharges } from './recharges.ts';
import { scheduleEdits } from './schedule-edits.ts';
import { schedules } from './schedules.ts';

export interface CaratClientOptions {
  environment: Environment;
  /** The store's code at Carat, at most 15 letters or digits [doc]; a CNPJ of 14 digits [field]. */
  merchantId: string;
  /** Its key, at most 80 letters or digits [doc]; 64 upper-case hexadecimal digits [field]; another one in homologation. */
  merchantKey: string;
  /** Replaces base addresses, per service. */
  addresses?: Partial<Addresses>;
  /** Milliseconds until a call is given up, 1 to 600 000; default 60 000. Carat documents no limit of its own. */
  timeoutMs?: number;
  /** Called when a call ends. The argument holds no secret and can be logged. Exceptions are dropped. */
  onCall?: (report: CallReport) => void;
}

const credentials = z.strictObject({ merchantId: fields.merchant_id, merchantKey: fields.merchant_key });
const deadline = z.strictObject({ timeoutMs: milliseconds(1, MAX_MS) });

export type CaratClient = ReturnType<typeof createCaratClient>;

/** Creates a client. It opens nothing and needs no closing. Throws `bad_argument` for a wrong option. */
export function createCaratClient(options: CaratClientOptions) {
  const name = 'createCaratClient';
  const { merchantId, merchantKey } = options;
  checked(name, credentials, { merchantId, merchantKey });
  const { timeoutMs } = checked(name, deadline, { timeoutMs: options.timeoutMs ?? 60_000 });
  const addresses = addressesFor(options.environment, options.addresses);
  const send = createTransport({ addresses, merchantId, merchantKey, timeoutMs, onCall: options.onCall });
  return {
    /** The default deadline of a call. */
    timeoutMs,
    schedules: schedules(send),
    scheduleEdits: scheduleEdits(send),
    recharges: recharges(send, merchantKey),
    genericOperations: genericOperations(send),
    cancellations: cancellations(send),
  };
}
