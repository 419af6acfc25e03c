export type {
  Asked,
  AskedCancellation,
  AskedRecharge,
  AskedScheduleEdit,
  AskedToken,
  AskOptions,
  Asks,
  CancellationRequest,
  CaratSaid,
  DecideOptions,
  Decision,
  RechargeName,
  RechargeProgress,
  RechargeRequest,
  ScheduleEditRequest,
  TokenRequest,
} from './asks.ts';
export { createWorkerClient, type WorkerClientOptions } from './client.ts';
export { isWorkerError, WorkerError, type WorkerErrorCode } from './errors.ts';
export { createTokenSource } from './token-source.ts';
export type { Claim, ClaimedToken, Correlators, Expectation, HeldClaim, Kind, Lead, Selector, Token } from './wire.ts';
export type {
  Ask,
  CallOptions,
  ClaimRequest,
  ExpectRequest,
  Hold,
  RenewOptions,
  WaitOptions,
  WithTokenOptions,
  Work,
  WorkerClient,
} from './worker-client.ts';
