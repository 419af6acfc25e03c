/**
 * A TCP proxy on loopback with a network that can fail. It keeps TCP's promise: a connection may be
 * late, silent or broken, but it never continues after lost bytes.
 */
import { once, setMaxListeners } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { freePort, LOOPBACK } from './ports.ts';
import { ProxiedConnection } from './proxied-connection.ts';
import type { Mode, ModeInForce } from './tcp-proxy-mode.ts';
import { reset } from './tcp-reset.ts';

/** Starts a proxy for one server in mode `pass`. The server may be down. */
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

  /** Connections with at least one open side. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Resolves when the mode applies to existing and new connections. */
  async mode(mode: Mode): Promise<void> {
    const before = this.#change;
    this.#inForce = this.#putInForce(mode);
    for (const connection of this.#connections) if (connection.hasGap(mode)) connection.cut();
    before.abort();
    if (mode.kind === 'refuse') this.#unlisten();
    else await this.#listen();
  }

  /** Resets all connections on both sides. New ones follow the mode. */
  cut(): void {
    for (const connection of this.#connections) connection.cut();
  }

  /**
   * Ends the stream to one side of all connections, like the other side would. The other direction
   * continues.
   */
  halfClose(side: 'server' | 'client'): void {
    for (const connection of this.#connections) connection.halfClose(side);
  }

  /** Resolves when the port is closed and no socket is open. */
  async stop(): Promise<void> {
    this.#unlisten();
    const closed = [...this.#connections].map((connection) => connection.closed);
    this.cut();
    this.#change.abort();
    await Promise.all(closed);
  }

  #putInForce(mode: Mode): ModeInForce {
    this.#change = new AbortController();
    // Every held-back connection adds a listener.
    setMaxListeners(0, this.#change.signal);
    return { mode, over: this.#change.signal };
  }

  async #listen(): Promise<void> {
    if (this.#listener) return;
    // The proxy forwards a half-close, so Node must not close the other half.
    const listener = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
    listener.listen(this.port, this.host);
    await once(listener, 'listening');
    this.#listener = listener;
  }

  /**
   * Frees the port at once. The listener's own `close` event would wait for the last connection.
   */
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
