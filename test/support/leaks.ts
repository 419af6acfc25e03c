/**
 * What a test opened and left open: sockets, servers, child processes, timers. All of them keep the event loop alive, so
 * that a parked waiter shows by its timer and a forgotten service by its servers.
 */
import { ChildProcess } from 'node:child_process';
import { Server, Socket } from 'node:net';
import { scaled } from './time-scale.ts';
import { until } from './until.ts';

/** How long things may take to be gone: a close that was asked for ends a few turns of the event loop later. */
const SETTLE_MS = scaled(10_000);

/** Node has had this for as long as it has had handles; its public sister tells names only. */
interface Inspectable {
  _getActiveHandles(): object[];
}

export interface Opened {
  handles: ReadonlySet<object>;
  timers: ReadonlySet<NodeJS.Timeout>;
}

/** The timers made since this process began to watch them. */
const timers = new Set<NodeJS.Timeout>();

/** From now on, timers that are made by the global functions are known. Vitest's own are made by others. */
export function watchTimers(): void {
  for (const name of ['setTimeout', 'setInterval'] as const) {
    const make = globalThis[name] as (...args: unknown[]) => NodeJS.Timeout;
    const watched = (...args: unknown[]): NodeJS.Timeout => {
      const timer = make(...args);
      timers.add(timer);
      return timer;
    };
    // What hangs on the function, such as its promisified form, hangs on this one, too.
    Object.defineProperties(watched, Object.getOwnPropertyDescriptors(make));
    Object.assign(globalThis, { [name]: watched });
  }
}

/** What is open now. */
export function opened(): Opened {
  for (const timer of timers) if (!isRunning(timer)) timers.delete(timer);
  const handles = (process as unknown as Inspectable)._getActiveHandles();
  return { handles: new Set(handles), timers: new Set(timers) };
}

/** @throws Error that names what was opened since, if it is not closed within some time */
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
  // A test may end a process that others share and start another in its place.
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
  // Node keeps that a timer fired or was cleared in a field that its types don't show.
  return timer.hasRef() && !(timer as { _destroyed?: boolean })._destroyed;
}

/** A connection to a server that outlives the test is kept alive by its client; the server ends it. */
function isServed(socket: Socket, { handles }: Opened): boolean {
  const { server } = socket as { server?: object | null };
  return server !== undefined && server !== null && handles.has(server);
}

function childProcesses({ handles }: Opened): object[] {
  return [...handles].filter((handle) => handle instanceof ChildProcess);
}
