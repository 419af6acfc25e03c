/** The routes of the operator page: the page and its script. */
import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { renderPage } from './page.ts';
import { SCRIPT, SCRIPT_PATH } from './script.ts';
import { STYLE } from './style.ts';
import { textsFor } from './texts.ts';
import type { View } from './view.ts';

export interface OperatorRoutesOptions {
  /** The scope of a request: all merchants, or the one merchant of its key. */
  viewFor: (request: FastifyRequest, filter: string) => Promise<View>;
}

const MOST_FILTER_CHARS = 128;

/** Allows only the page's own style and script. Frames and foreign content are refused. */
const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "script-src 'self'",
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

const HEADERS = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
  vary: 'accept-language',
};

export async function operatorRoutes(app: FastifyInstance, { viewFor }: OperatorRoutesOptions): Promise<void> {
  app.get('/', { schema: { hide: true } }, async (request, reply) => {
    const { q } = request.query as { q?: unknown };
    const filter = typeof q === 'string' ? q.trim().slice(0, MOST_FILTER_CHARS) : '';
    const page = renderPage(await viewFor(request, filter), textsFor(request.headers['accept-language']));
    return reply.headers(HEADERS).type('text/html; charset=utf-8').send(page);
  });
  app.get(SCRIPT_PATH, { schema: { hide: true } }, async (_request, reply) =>
    reply
      .headers({ ...HEADERS, 'cache-control': 'no-cache' })
      .type('text/javascript; charset=utf-8')
      .send(SCRIPT),
  );
}
