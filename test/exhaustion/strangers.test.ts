/** 5,000 clients that connect and do not finish what they send. */
import { expect, test } from 'vitest';
import { OK } from '../listeners/authenticity/ok.ts';
import { RawConnection, rawRequest, undated } from '../support/raw-http.ts';
import { Receiver } from '../support/receiver.ts';
import { scaled } from '../support/time-scale.ts';
import { until } from '../support/until.ts';

const AT_ONCE = 250;
/** No client is disconnected for slowness before all are connected. */
const DEADLINE_MS = scaled(600_000);
const GENUINE = rawRequest({ body: `seid=${'g'.repeat(64)}&sid=genuine` });
const HALF = rawRequest({ headers: [['Content-Length', '16000']], body: `seid=${'x'.repeat(1000)}` }).toString();
const HALF_HEAD = 'POST /authenticity HTTP/1.1\r\nHost: a\r\nX-Slow: ';

test('answers a genuine post while 5,000 strangers are connected', async () => {
  const receiver = await Receiver.start({
    limits: { idleGraceMs: 20, headersDeadlineMs: DEADLINE_MS, bodyDeadlineMs: DEADLINE_MS },
  });
  const strangers: RawConnection[] = [];
  const crowd = async (size: number, words = ''): Promise<void> => {
    for (let left = size; left > 0; left -= AT_ONCE) {
      const some = Array.from({ length: AT_ONCE }, () => RawConnection.open(receiver.port));
      for (const stranger of await Promise.all(some)) strangers.push(words === '' ? stranger : stranger.write(words));
    }
  };
  try {
    await crowd(3500);
    await crowd(1000, HALF);
    await crowd(500, HALF_HEAD);
    await until('all are connected', async () => (await receiver.connections()) >= 5000);
    const connection = await receiver.connect();
    connection.write(GENUINE);
    expect(undated(await connection.answer())).toBe(OK);
    expect(receiver.recorded().map(({ outcome }) => outcome)).toContain('kept');
  } finally {
    for (const stranger of strangers) stranger.destroy();
    await receiver.stop();
  }
});
