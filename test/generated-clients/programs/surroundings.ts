/** Shared by the programs that use a generated client. */
export const { AUTHENTICITY_URL = '', WORKER_URL = '', WORKER_API_KEY: KEY = '' } = process.env;

/** A correlator that the service accepts, and one that it refuses. */
export const CORRELATOR = 'edição & 1';
export const BAD_CORRELATOR = 'edit\n1';

const VALUE = 'qwertyuiopasdfghjklzxcvbnm0123456789qwertyuiopasdfghjklzxcvbnm02';

/** Posts as Carat does. */
export async function postToken(url: string, merchantData: string): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    body: new URLSearchParams({ seid: VALUE, merchant_data: merchantData }),
  });
  if (response.status !== 200) throw new Error(`expected 200, got ${response.status}`);
}

export interface Seen {
  announced: number;
  read: { status: number; value: string | undefined };
  claimed: { status: number; value: string | undefined; deliveries: number | undefined };
  settled: number;
  wrong: { status: number; code: string | undefined };
  unknown: { status: number; code: string | undefined };
  /**
   * Whether the zod schemas accept an answer, and a good and a bad correlator in a query and a
   * body.
   */
  schemas?: { answer: boolean; correlator: boolean[]; badCorrelator: boolean[] };
}

export function print(seen: Seen): void {
  process.stdout.write(JSON.stringify(seen));
}
