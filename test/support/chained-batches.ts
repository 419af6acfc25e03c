/** What all chained batches of LevelDB share: the one way by which the embedded store writes. To be watched, or spoiled. */
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
