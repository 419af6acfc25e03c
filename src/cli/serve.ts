/** `serve` and `simulator`: the two servers. The environment configures them, and a signal ends them. */
import { type Command, EXIT, text } from './command.ts';

export const serve: Command = {
  name: 'serve',
  summary: 'Run the service: the authenticity URL and the worker API.',
  options: {},
  more: 'Configured by environment variables, all of them in .env.example.',
  async run() {
    await import('../main.ts');
    return EXIT.ok;
  },
};

export const simulator: Command = {
  name: 'simulator',
  summary: 'Run a stand-in for Carat, to try against.',
  options: {
    port: { type: 'string', value: 'PORT', help: 'Where it listens; default SIMULATOR_PORT, else 8090.' },
    to: { type: 'string', value: 'URL', help: 'Where it posts to; default AUTHENTICITY_URL.' },
  },
  async run(args, { env }) {
    const own = env as Record<string, string | undefined>;
    const [port, to] = [text(args, 'port'), text(args, 'to')];
    if (port !== undefined) own['SIMULATOR_PORT'] = port;
    if (to !== undefined) own['AUTHENTICITY_URL'] = to;
    await import('../simulator/main.ts');
    return EXIT.ok;
  },
};
