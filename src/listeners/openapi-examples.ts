/** Examples for the OpenAPI document. The value of the token is the one of Carat's own documentation. */
const TOKEN = {
  id: 'aff2c8ac817704be63abcc8a60926e48',
  merchant: 'default',
  kind: 'seid',
  value: 'qwertyuiopasdfghjklzxcvbnm0123456789qwertyuiopasdfghjklzxcvbnm02',
  merchant_data: '14114532781',
  received_at: '2026-01-31T12:00:00.000Z',
  expires_at: '2026-01-31T12:15:00.000Z',
  distinct: 1,
  claim: null,
};

interface Examples {
  /** By name. */
  parameters: Readonly<Record<string, unknown>>;
  /** By operation; an operation without one has no body. */
  bodies: Readonly<Record<string, unknown>>;
  answers: Readonly<Record<string, unknown>>;
}

export const EXAMPLES: Examples = {
  parameters: { merchant_data: '14114532781', wait: 25, claim_id: 'job-17', merchant: 'default' },
  bodies: {
    claimToken: { kind: 'token', wait: 25, lease: 60 },
    expectToken: { kind: 'seid', ttl: 120 },
  },
  answers: {
    readToken: TOKEN,
    claimToken: {
      ...TOKEN,
      claim: { id: 'job-17', lease_expires_at: '2026-01-31T12:01:00.000Z', deliveries: 1 },
    },
    expectToken: {
      id: '5f0c9a3e-3f44-4d0a-9f0e-0f4b3c0c7d11',
      kind: 'seid',
      merchant_data: 'k3v9x0q7c1m5z8b2n4l6',
      expires_at: '2026-01-31T12:02:00.000Z',
    },
    lastPosts: {
      posts: [
        {
          received_at: '2026-01-31T12:00:00.000Z',
          merchant: 'default',
          kind: 'seid',
          merchant_data: '14114532781',
          fingerprint: '9c1f07aa',
          outcome: 'kept',
          from: '203.0.113.7',
          handed_over_after_ms: 12,
        },
      ],
    },
  },
};
