import { buildIfStale } from './build.ts';
import { findServer } from './redis-binary.ts';

/** Builds the service and fetches the servers once, before the worker processes start. */
export default async function setup(): Promise<void> {
  await buildIfStale();
  await findServer('redis');
  await findServer('valkey');
}
