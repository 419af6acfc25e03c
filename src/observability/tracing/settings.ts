/**
 * The usual variables of OpenTelemetry that ask for traces. What they say wrong is told and turns tracing off: unlike our
 * own options, they are often set for all that runs somewhere, and no post is lost for want of a trace.
 */

export interface TracingSettings {
  /** Where spans are posted to, as JSON. */
  endpoint: string;
  /** Sent with each request. They hold keys. */
  headers: Readonly<Record<string, string>>;
  /** Of the resource: who we are. */
  attributes: Readonly<Record<string, string>>;
  /** Which share of traces that begin here is recorded, 0 to 1. */
  ratio: number;
  /** Whether a caller's trace decides for itself, whatever the share. */
  parentDecides: boolean;
  sendEveryMs: number;
  timeoutMs: number;
}

export type TracingWish = { settings: TracingSettings } | { problem: string };
type Environment = Readonly<Record<string, string | undefined>>;

const SEND_EVERY_MS = 5000;
const TIMEOUT_MS = 10_000;
const USUAL_ENDPOINT = 'http://localhost:4318';

/** What is asked for; undefined when nothing is. */
export function readTracing(env: Environment): TracingWish | undefined {
  const own = (name: string): string | undefined =>
    env[`OTEL_EXPORTER_OTLP_TRACES_${name}`] || env[`OTEL_EXPORTER_OTLP_${name}`] || undefined;
  const exporters = (env['OTEL_TRACES_EXPORTER'] ?? '').split(',').map((name) => name.trim());
  const isDisabled = env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true';
  const named = exporters.filter((name) => name !== '');
  if (isDisabled || named.includes('none') || (named.length === 0 && own('ENDPOINT') === undefined)) return undefined;
  if (named.length > 0 && !named.includes('otlp')) {
    return { problem: `OTEL_TRACES_EXPORTER: expected otlp or none, got ${named.join(', ')}` };
  }
  if (own('PROTOCOL') === 'grpc') return { problem: 'OTEL_EXPORTER_OTLP_PROTOCOL: expected http/json, got grpc' };
  const endpoint =
    env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] || `${own('ENDPOINT') ?? USUAL_ENDPOINT}`.replace(/\/*$/, '/v1/traces');
  if (!/^https?:\/\//.test(endpoint) || !URL.canParse(endpoint)) {
    return { problem: 'OTEL_EXPORTER_OTLP_ENDPOINT: expected an http or https address' };
  }
  const { OTEL_SERVICE_NAME: name, OTEL_RESOURCE_ATTRIBUTES: given } = env;
  const sampler = env['OTEL_TRACES_SAMPLER'] || 'parentbased_always_on';
  return {
    settings: {
      endpoint,
      headers: pairsOf(own('HEADERS')),
      attributes: {
        'service.name': 'carat-authenticity',
        ...pairsOf(given),
        ...(name ? { 'service.name': name } : {}),
      },
      ratio: ratioOf(sampler, env['OTEL_TRACES_SAMPLER_ARG']),
      parentDecides: sampler.startsWith('parentbased_'),
      sendEveryMs: numberOf(env['OTEL_BSP_SCHEDULE_DELAY'], SEND_EVERY_MS),
      timeoutMs: numberOf(own('TIMEOUT'), TIMEOUT_MS),
    },
  };
}

/** `name=value` pairs, separated by commas, values percent-encoded. */
function pairsOf(text = ''): Record<string, string> {
  const pairs = text.split(',').map((pair) => /^\s*([^=\s]+)\s*=(.*)$/.exec(pair));
  return Object.fromEntries(pairs.flatMap((pair) => (pair === null ? [] : [[pair[1], decoded(pair[2] ?? '')]])));
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.trim());
  } catch {
    return text.trim();
  }
}

function ratioOf(sampler: string, argument: string | undefined): number {
  if (sampler.endsWith('always_off')) return 0;
  const ratio = Number(argument || 1);
  return sampler.endsWith('traceidratio') && ratio >= 0 && ratio <= 1 ? ratio : 1;
}

function numberOf(text: string | undefined, usual: number): number {
  const number = Number(text || usual);
  return number > 0 && number < 2 ** 31 ? number : usual;
}
