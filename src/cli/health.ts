/** `health`: for container checks. Exits with 0 if the service is ready (or alive), else with 1. */
import { type Command, EXIT, seconds, WORKER_OPTIONS } from './command.ts';
import { workerUrl } from './worker.ts';

export const health: Command = {
  name: 'health',
  summary: 'Exit 0 when the service can keep a post, 1 when it cannot; for container checks.',
  options: {
    live: { type: 'boolean', help: 'Ask only whether the process runs.' },
    timeout: { type: 'string', value: 'SECONDS', help: 'How long the answer may take; default 5.' },
    worker: WORKER_OPTIONS['worker'] as NonNullable<(typeof WORKER_OPTIONS)['worker']>,
  },
  async run(args, terminal) {
    const path = args.values['live'] === true ? '/livez' : '/readyz';
    const signal = AbortSignal.timeout(seconds(args, 'timeout', 5));
    let report: { ok: boolean; status: number; [fact: string]: unknown };
    try {
      const response = await fetch(`${workerUrl(args, terminal).replace(/\/+$/, '')}${path}`, { signal });
      const body = (await response.json().catch(() => ({}))) as object;
      report = { ...body, ok: response.status === 200, status: response.status };
    } catch {
      report = { ok: false, status: 0 };
    }
    if (args.values['json'] === true) terminal.out(JSON.stringify(report));
    else if (report.ok) terminal.out(terminal.paint('green', 'ok'));
    else terminal.error(terminal.paint('red', report.status === 0 ? 'no answer' : `not ready: ${report.status}`));
    return report.ok ? EXIT.ok : EXIT.failed;
  },
};
