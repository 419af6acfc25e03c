/**
 * The standard OpenTelemetry variables that enable tracing. A wrong value is logged and turns
 * tracing off. Unlike our own options, these variables are often set for all processes of a
 * machine. A tracing problem must not cost a post.
 */

export interface TracingSettings {
  /** The address for spans, as JSON. */
  endpoint: string;
  /** Headers of each request. They contain keys. */
  headers: Readonly<Record<string, string>>;
  /** Resource attributes that identify this service. */
  attributes: Readonly<Record<string, string>>;
  /** The share of traces begun here that is recorded, 0 to 1. */
  ratio: number;
  /** Whether a caller's trace decides about recording, whatever the share. */
  parentDecides: boolean;
  sendEveryMs: number;
  timeoutMs: number;
}

export type TracingWish = { settings: TracingSettings } | { problem: string };
type Environment = Readonly<Record<string, string | undefined>>;

const SEND_EVERY_MS = 5000;
const TIMEOUT_MS = 10_000;
const USUAL_ENDPOINT = 'http://localhost:4318';

/** Returns the settings of tracing; undefined when tracing is not enabled. */
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

/** Parses `name=value` pairs, separated by commas, values percent-encoded. */
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
