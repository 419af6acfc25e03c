/**
 * The prototype of LevelDB's chained batches. The embedded store writes only with these, so tests
 * can watch or break its writes.
 */
import { ClassicLevel } from 'classic-level';
import { GuardedFolder } from './guarded-folder.ts';

export type Batch = ReturnType<ClassicLevel['batch']> & { write(options: { sync: boolean }): Promise<void> };

export async function chainedBatches(): Promise<Batch> {
  const folder = await GuardedFolder.make('batches-');
  const level = new ClassicLevel(folder.path);
  await level.open();
  const prototype = Object.getPrototypeOf(level.batch());
  await level.close();
  await folder.remove();
  return prototype;
}
