export { ADDRESSES, type Addresses, type Environment, type Service } from './addresses.ts';
export type { Card } from './arguments.ts';
export type { CallOptions, CaratSaid } from './call.ts';
export type { CancellationAnswer } from './cancellations.ts';
export { type CaratClient, type CaratClientOptions, createCaratClient } from './client.ts';
export { answerLost, CaratError, type CaratErrorCode } from './errors.ts';
export { editSchedule, type ScheduleEdited } from './flows/edit-schedule.ts';
export {
  type GenericOperationDone,
  type GenericOperationOptions,
  genericOperation,
} from './flows/generic-operation.ts';
export type { ObtainOptions } from './flows/obtain-token.ts';
export {
  type Offer,
  type RechargeArguments,
  type RechargeOptions,
  type RechargeOutcome,
  recharge,
} from './flows/recharge.ts';
export type { OperationAnswer, OperationParameters } from './generic-operations.ts';
export type { CallReport } from './http.ts';
export { openRechargeNotes, type RechargeNote, type RechargeNotes } from './recharge-notes.ts';
export { type Recovered, type RecoveryOptions, recoverRecharges } from './recharge-recovery.ts';
export type { Branches, Dealers, RechargeEffect, RechargeOrder, RechargeState } from './recharges.ts';
export type { EditAnswer, ScheduleChanges } from './schedule-edits.ts';
export type { NewSchedule, NewScheduleWithPayment, TransactionAnswer } from './schedules.ts';
export { TerminalHolds } from './terminal-holds.ts';
export type { Announced, HeldToken, TakeOptions, TokenKind, TokenSelector, TokenSource } from './token-source.ts';
