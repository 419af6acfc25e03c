/**
 * A TCP proxy on loopback whose network can be made to fail while it runs. It keeps TCP's own promise: a connection may
 * be late, silent or broken, but it never skips bytes and then goes on.
 */
import { once, setMaxListeners } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { freePort, LOOPBACK } from './ports.ts';
import { ProxiedConnection } from './proxied-connection.ts';
import type { Mode, ModeInForce } from './tcp-proxy-mode.ts';
import { reset } from './tcp-reset.ts';

/** Starts a proxy for one server, in mode `pass`. The server need not be up. */
export async function startProxy(server: { host: string; port: number }): Promise<TcpProxy> {
  for (;;) {
    const port = await freePort();
    const proxy = new TcpProxy(server, port);
    try {
      await proxy.mode({ kind: 'pass' });
      return proxy;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
}

export class TcpProxy {
  readonly host = LOOPBACK;
  readonly port: number;
  readonly #server: { host: string; port: number };
  readonly #connections = new Set<ProxiedConnection>();
  #listener: Server | undefined;
  #change = new AbortController();
  #inForce = this.#putInForce({ kind: 'pass' });

  constructor(server: { host: string; port: number }, port: number) {
    this.#server = server;
    this.port = port;
  }

  /** The connections of which the client's or the server's side is still open. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Resolves when the mode is in force, for the connections that exist and for new ones. */
  async mode(mode: Mode): Promise<void> {
    const before = this.#change;
    this.#inForce = this.#putInForce(mode);
    for (const connection of this.#connections) if (connection.hasGap(mode)) connection.cut();
    before.abort();
    if (mode.kind === 'refuse') this.#unlisten();
    else await this.#listen();
  }

  /** Resets all connections on both sides. New ones are treated as the mode says. */
  cut(): void {
    for (const connection of this.#connections) connection.cut();
  }

  /** Ends the stream towards one side of all connections, as if the other had. The other direction goes on. */
  halfClose(side: 'server' | 'client'): void {
    for (const connection of this.#connections) connection.halfClose(side);
  }

  /** Resolves when nothing listens and no socket is open. */
  async stop(): Promise<void> {
    this.#unlisten();
    const closed = [...this.#connections].map((connection) => connection.closed);
    this.cut();
    this.#change.abort();
    await Promise.all(closed);
  }

  #putInForce(mode: Mode): ModeInForce {
    this.#change = new AbortController();
    // Every connection that is held back listens.
    setMaxListeners(0, this.#change.signal);
    return { mode, over: this.#change.signal };
  }

  async #listen(): Promise<void> {
    if (this.#listener) return;
    // A half-closed connection is a state to pass on, so that Node must not close the other half.
    const listener = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
    listener.listen(this.port, this.host);
    await once(listener, 'listening');
    this.#listener = listener;
  }

  /** The port is free at once; the listener's own `close` would come after the last connection's end. */
  #unlisten(): void {
    this.#listener?.close();
    this.#listener = undefined;
  }

  #accept(client: Socket): void {
    if (this.#inForce.mode.kind === 'reset') {
      reset(client);
      return;
    }
    const connection = new ProxiedConnection(client, this.#server, () => this.#inForce);
    this.#connections.add(connection);
    void connection.closed.then(() => this.#connections.delete(connection));
  }
}
