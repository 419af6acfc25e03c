/** Redis' MONITOR: all commands of all clients. */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';

export interface Watched {
  seen(): string;
  stop(): Promise<void>;
}

/** Starts to record later commands, until the server disconnects or `stop`. */
export async function monitor({ host, port }: RedisServer, password: string): Promise<Watched> {
  const socket = connect(port, host);
  let text = '';
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1');
  });
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(`AUTH ${password}\r\nMONITOR\r\n`);
  await until('it is watching', () => text.startsWith('+OK\r\n+OK\r\n'));
  return {
    seen: () => text,
    async stop() {
      if (socket.closed) return;
      socket.destroy();
      await once(socket, 'close');
    },
  };
}
