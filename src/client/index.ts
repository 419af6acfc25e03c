/** The client for workers, `carat-authenticity/client`: gets the tokens that Carat posts. No dependency. */
export {
  type CallOptions,
  type ClaimRequest,
  createWorkerClient,
  type ExpectRequest,
  type WaitOptions,
  type WorkerClient,
  type WorkerClientOptions,
} from './client.ts';
export { isWorkerError, WorkerError, type WorkerErrorCode } from './errors.ts';
export { createTokenSource } from './token-source.ts';
export type { Claim, ClaimedToken, Correlators, Expectation, HeldClaim, Kind, Lead, Selector, Token } from './wire.ts';
export type { Ask, Hold, WithTokenOptions, Work } from './with-token.ts';
