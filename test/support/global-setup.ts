import { findServer } from './redis-binary.ts';

/** Fetches the servers once, before the worker processes start. */
export default async function setup(): Promise<void> {
  await findServer('redis');
  await findServer('valkey');
}
