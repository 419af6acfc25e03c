/**
 * Finds what a test left open: sockets, servers, child processes, timers. A parked waiter has a
 * timer, and a forgotten service has servers.
 */
import { ChildProcess } from 'node:child_process';
import { Server, Socket } from 'node:net';
import { scaled } from './time-scale.ts';
import { until } from './until.ts';

/** How long to wait for a close: it ends some turns of the event loop after the call. */
const SETTLE_MS = scaled(10_000);

/** An old internal function of Node. The public one returns only names. */
interface Inspectable {
  _getActiveHandles(): object[];
}

export interface Opened {
  handles: ReadonlySet<object>;
  timers: ReadonlySet<NodeJS.Timeout>;
}

/** Timers since the watch began. */
const timers = new Set<NodeJS.Timeout>();

/** Records timers of the global functions from now on. Vitest uses others for its own. */
export function watchTimers(): void {
  for (const name of ['setTimeout', 'setInterval'] as const) {
    const make = globalThis[name] as (...args: unknown[]) => NodeJS.Timeout;
    const watched = (...args: unknown[]): NodeJS.Timeout => {
      const timer = make(...args);
      timers.add(timer);
      return timer;
    };
    // Copy the properties of the function, such as its promisified form.
    Object.defineProperties(watched, Object.getOwnPropertyDescriptors(make));
    Object.assign(globalThis, { [name]: watched });
  }
}

/** Returns the open resources. */
export function opened(): Opened {
  for (const timer of timers) if (!isRunning(timer)) timers.delete(timer);
  const handles = (process as unknown as Inspectable)._getActiveHandles();
  return { handles: new Set(handles), timers: new Set(timers) };
}

/** @throws Error that names resources that were opened since and are not closed in time */
export async function expectClosedSince(before: Opened, withinMs = SETTLE_MS): Promise<void> {
  let left: string[] = [];
  const isClosed = (): boolean => {
    left = leftOpen(before, opened());
    return left.length === 0;
  };
  await until('all that the test opened is closed', isClosed, withinMs).catch(() => {
    throw new Error(`expected the test to close all that it opened, but it left ${left.join(', ')}`);
  });
}

function leftOpen(before: Opened, now: Opened): string[] {
  const left: string[] = [];
  // A test may replace a process that others share.
  const processes = childProcesses(now).length - childProcesses(before).length;
  if (processes > 0) left.push(`${processes} child processes`);
  for (const handle of now.handles) {
    if (before.handles.has(handle)) continue;
    if (handle instanceof Server) left.push(`a server at ${JSON.stringify(handle.address())}`);
    // A socket without a port is the pipe of a child process.
    else if (handle instanceof Socket && handle.remotePort !== undefined && !isServed(handle, before)) {
      left.push(`a socket from port ${handle.localPort} to port ${handle.remotePort}`);
    }
  }
  for (const timer of now.timers) {
    if (!before.timers.has(timer)) left.push(`a timer of ${(timer as { _idleTimeout?: number })._idleTimeout} ms`);
  }
  return left;
}

function isRunning(timer: NodeJS.Timeout): boolean {
  // Node's field for a timer that fired or was cleared is missing in its types.
  return timer.hasRef() && !(timer as { _destroyed?: boolean })._destroyed;
}

/**
 * A connection to a server that outlives the test: its client keeps it alive, and the server ends
 * it.
 */
function isServed(socket: Socket, { handles }: Opened): boolean {
  const { server } = socket as { server?: object | null };
  return server !== undefined && server !== null && handles.has(server);
}

function childProcesses({ handles }: Opened): object[] {
  return [...handles].filter((handle) => handle instanceof ChildProcess);
}
