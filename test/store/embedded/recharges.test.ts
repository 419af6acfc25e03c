/** Owed recharges on disk when the directory cannot be created. */
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { StoreAway } from '../../../src/store/contract.ts';
import { EmbeddedRecharges } from '../../../src/store/embedded/recharges.ts';
import { ValueCipher } from '../../../src/store/encrypted.ts';

const RECHARGE = { merchant: 'default', nit: 'n'.repeat(64), merchantUsn: '1', settleWithinMs: 30_000 };

// Node's own recursive mkdir never returns for such a path, and keeps a core busy.
test('rejects when its directory cannot be created, and closes', async () => {
  const recharges = new EmbeddedRecharges('/proc/nope/recharges', new ValueCipher([randomBytes(32)]));
  await recharges.open();
  await expect(recharges.owe(RECHARGE)).rejects.toThrow(StoreAway);
  await recharges.close();
});
