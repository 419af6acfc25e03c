/** The machine of the figures. */
import { open, rm } from 'node:fs/promises';
import { cpus, loadavg, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { findTool } from '../support/tools.ts';
import { spread } from './scenario.ts';

export async function machine(): Promise<Record<string, string>> {
  const [cpu] = cpus();
  const { least, median, most } = await syncMs();
  return {
    machine: `${cpus().length} × ${cpu?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 1e9)} GB, ${process.platform} ${release()}`,
    node: process.version,
    redis: (await findTool('redis')).version,
    'one fdatasync': `${median.toFixed(2)} ms (${least.toFixed(2)}–${most.toFixed(2)})`,
    'load before': loadavg()
      .map((load) => load.toFixed(1))
      .join(' '),
  };
}

/** The time to sync a few hundred bytes: the lower limit of every synced store. */
async function syncMs(): Promise<{ least: number; median: number; most: number }> {
  const path = join(tmpdir(), `bench-sync-${process.pid}`);
  const file = await open(path, 'w');
  const took: number[] = [];
  for (let i = 0; i < 50; i++) {
    const at = performance.now();
    await file.write('x'.repeat(300));
    await file.datasync();
    took.push(performance.now() - at);
  }
  await file.close();
  await rm(path);
  return spread(took);
}
