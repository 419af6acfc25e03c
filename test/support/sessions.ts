/** Shell sessions in documents: the commands and their output. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './build.ts';

export interface Step {
  command: string;
  shown: string[];
}

/** Returns the commands of a document's shell sessions, each with its output. */
export function stepsOf(path: string): Step[] {
  const steps: Step[] = [];
  for (const [, session = ''] of readFileSync(join(ROOT, path), 'utf8').matchAll(/^```console\n(.*?)^```$/gms)) {
    for (const part of session.split(/^\$ /m).slice(1)) {
      const lines = part.trimEnd().split('\n');
      const end = lines.findIndex((line) => !line.endsWith('\\')) + 1;
      steps.push({ command: lines.slice(0, end).join('\n'), shown: lines.slice(end) });
    }
  }
  return steps;
}

/** A pattern for a line of output: an ellipsis matches any text, and times may differ. */
export function pattern(line: string): RegExp {
  const escaped = line.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const dated = escaped
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\\\.\d{3}Z/g, '[0-9T:.-]+Z')
    .replace(/^Date: .*/, 'Date: .*');
  return new RegExp(`^${dated.replaceAll(/ ?… ?/g, '.*')}$`);
}
