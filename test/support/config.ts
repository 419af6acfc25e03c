import { type Config, readConfig } from '../../src/config/config.ts';
import { scaled } from './time-scale.ts';

/** The configuration of a service in this process. Its deadlines are scaled to this machine. */
export function readScaledConfig(env: Record<string, string>, redisMs = 200): Config {
  return { ...readConfig(env), deadlines: { answerMs: scaled(900), redisMs: scaled(redisMs) } };
}
