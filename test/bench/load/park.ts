/** Parks workers until it is stopped. Reports when all of them wait. */
import { get, openConnections } from './connection.ts';
import { loadOptions, pause } from './load.ts';

export interface ParkOptions {
  port: number;
  waiting: number;
}

const { port, waiting } = loadOptions<ParkOptions>();
for (const [i, connection] of (await openConnections(port, waiting)).entries()) {
  connection.send(get(`/v1/tokens?merchant_data=parked${i}x${process.pid}&wait=60`), () => {});
}
await pause(1000 + waiting / 5);
process.stdout.write('parked\n');
