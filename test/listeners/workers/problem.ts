import { expect } from 'vitest';
import type { Answer } from '../../support/service.ts';

/** Expects an RFC 9457 answer with this status and code, without caching. */
export function expectProblem(answer: Answer, status: number, code: string): void {
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(answer.json).toMatchObject({ type: 'about:blank', status, code });
  expect(answer.json.title).toEqual(expect.any(String));
  expect(answer.json.detail).toEqual(expect.any(String));
  expect(answer.status).toBe(status);
  expect(answer.headers['cache-control']).toBe('no-store');
}
