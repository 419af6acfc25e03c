import { type Config, readConfig } from '../../src/config/config.ts';
import { scaled } from './time-scale.ts';

/** The configuration of a service in this process, which is given as much longer for its work as this machine takes. */
export function readScaledConfig(env: Record<string, string>, redisMs = 200): Config {
  return { ...readConfig(env), deadlines: { answerMs: scaled(900), redisMs: scaled(redisMs) } };
}
