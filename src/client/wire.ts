/**
 * The client's types of the worker API. Times are `Date`s, durations are milliseconds, names are camel case. Only `names`
 * below maps them to the names of the API.
 */

/** `seid` for schedule edits, `nit` for recharges and cancellations, `token` for generic operations. */
export type Kind = 'seid' | 'nit' | 'token';

/** The fields that identify a token; each 1 to 64 characters. */
export interface Correlators {
  /** The `merchant_data` that was sent to Carat. */
  merchantData?: string | undefined;
  /** The SID of the schedule. */
  sid?: string | undefined;
  /** The merchant's USN. A post names it `merchantUSN`, `merchant_usn` or `nsu`. */
  merchantUsn?: string | undefined;
  /** The merchant's order. A post names it `order_id` or `pedido`. */
  orderId?: string | undefined;
}

export interface Scope {
  kind?: Kind | undefined;
  /** Carat's merchant (loja); default: the client's. */
  merchant?: string | undefined;
}

/** Exactly one correlator, and optionally the kind and the merchant. */
export type Selector = Scope &
  {
    [Name in keyof Correlators]-?: { [Given in Name]: string } & {
      [Other in Exclude<keyof Correlators, Name>]?: never;
    };
  }[keyof Correlators];

/** A selector, or a kind alone: the oldest token of that kind without any correlator. */
export type Lead = Selector | ({ kind: Kind; merchant?: string | undefined } & { [Name in keyof Correlators]?: never });

export interface Token extends Correlators {
  /** Stable for merchant, kind and value. */
  id: string;
  merchant: string;
  kind: Kind;
  /** The SEID, NIT or token itself. Do not log it. */
  value: string;
  receivedAt: Date;
  expiresAt: Date;
  /** How many different live values match the selector. */
  distinct: number;
  /** The claim that holds it, if any. */
  claim: Claim | null;
}

export interface Claim {
  id: string;
  leaseExpiresAt: Date;
  /** How many times the token was handed out by a claim; 1 the first time. */
  deliveries: number;
}

/** A token that is held exclusively until it is used or released, or its lease ends. */
export type ClaimedToken = Token & { claim: Claim };

/** The part of a claimed token that ends its claim. */
export interface HeldClaim {
  merchant: string;
  claim: { id: string };
}

/** An announced post and the correlator of its token. Without a correlator, the token comes from the pool. */
export interface Expectation extends Correlators {
  id: string;
  merchant: string;
  kind: Kind;
  expiresAt: Date;
}

/** A selector, or a part of it, with the names of the API. */
export type WireLead = { kind?: Kind; merchant: string } & Partial<Record<WireCorrelator, string>>;
type WireCorrelator = 'merchant_data' | 'sid' | 'merchant_usn' | 'order_id';

export type WireToken = { [Name in WireCorrelator]?: string | undefined } & {
  id: string;
  merchant: string;
  kind: Kind;
  value: string;
  received_at: string;
  expires_at: string;
  distinct: number;
  claim: { id: string; lease_expires_at: string; deliveries: number } | null;
};

export type WireExpectation = { [Name in WireCorrelator]?: string | undefined } & {
  id: string;
  kind: Kind;
  expires_at: string;
};

const names = { merchantData: 'merchant_data', sid: 'sid', merchantUsn: 'merchant_usn', orderId: 'order_id' } as const;

/** Converts a selector. Omits undefined fields. */
export function toWire(lead: Scope & Correlators, merchant: string): WireLead {
  const wire: WireLead = { merchant: lead.merchant ?? merchant };
  if (lead.kind !== undefined) wire.kind = lead.kind;
  for (const [ours, theirs] of Object.entries(names)) {
    const value = lead[ours as keyof Correlators];
    if (value !== undefined) wire[theirs] = value;
  }
  return wire;
}

export function tokenOf(wire: WireToken): Token {
  const { id, merchant, kind, value, received_at, expires_at, distinct, claim } = wire;
  return {
    id,
    merchant,
    kind,
    value,
    ...correlatorsOf(wire),
    receivedAt: new Date(received_at),
    expiresAt: new Date(expires_at),
    distinct,
    claim: claim && {
      id: claim.id,
      leaseExpiresAt: new Date(claim.lease_expires_at),
      deliveries: claim.deliveries,
    },
  };
}

/** Converts a token back to the answer of the worker API. The inverse of `tokenOf`. */
export function tokenAnswerOf(token: Token): WireToken {
  const { id, merchant, kind, value, receivedAt, expiresAt, distinct, claim } = token;
  return {
    ...toWire(token, merchant),
    id,
    merchant,
    kind,
    value,
    received_at: receivedAt.toISOString(),
    expires_at: expiresAt.toISOString(),
    distinct,
    claim: claim && {
      id: claim.id,
      lease_expires_at: claim.leaseExpiresAt.toISOString(),
      deliveries: claim.deliveries,
    },
  };
}

export function expectationOf(wire: WireExpectation, merchant: string): Expectation {
  const { id, kind, expires_at } = wire;
  return { id, merchant, kind, ...correlatorsOf(wire), expiresAt: new Date(expires_at) };
}

function correlatorsOf(wire: { [Name in WireCorrelator]?: string | undefined }): Correlators {
  const correlators: Correlators = {};
  for (const [ours, theirs] of Object.entries(names)) {
    const value = wire[theirs];
    if (value !== undefined) correlators[ours as keyof Correlators] = value;
  }
  return correlators;
}
