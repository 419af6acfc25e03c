/**
 * Keeps web pages of others from using a browser inside as their way to the worker API: it may hold the key (Basic), and
 * on the machine of a developer there may be no key at all.
 */
import type { FastifyRequest } from 'fastify';
import { ProblemError } from './problems.ts';

const LOOPBACK_HOST = /^(localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;

/**
 * Refuses what a page of another site made the browser send. A link that somebody follows to a page of ours is let in;
 * the API itself is no page.
 *
 * @throws ProblemError `foreign_origin`
 */
export function checkSite(request: FastifyRequest): void {
  const { origin, host } = request.headers;
  const site = request.headers['sec-fetch-site'];
  const followed = request.headers['sec-fetch-mode'] === 'navigate' && request.method === 'GET';
  const foreignSite = site === 'cross-site' || site === 'same-site';
  const foreignOrigin = origin !== undefined && hostOf(origin) !== host?.toLowerCase();
  if (!foreignSite && !foreignOrigin) return;
  if (followed && !request.url.startsWith('/v1/')) return;
  throw new ProblemError('foreign_origin', 'expected a request that no page of another site made');
}

/**
 * Where no key is needed, a page could give its own name our address (DNS rebinding), and would then be no other site.
 *
 * @throws ProblemError `foreign_origin` for a host that is no loopback name
 */
export function checkLoopbackHost(request: FastifyRequest): void {
  if (LOOPBACK_HOST.test(request.headers.host ?? '')) return;
  throw new ProblemError(
    'foreign_origin',
    'expected the host localhost, 127.0.0.1 or [::1], because there are no WORKER_API_KEYS',
  );
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}
