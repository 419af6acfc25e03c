/** The fetch function of orval's client, which leaves the address and the key to the project. */
import { KEY, WORKER_URL } from './surroundings.ts';

export async function request<T>(path: string, init: RequestInit): Promise<T> {
  const headers = { ...init.headers, authorization: `Bearer ${KEY}` };
  const response = await fetch(`${WORKER_URL}${path}`, { ...init, headers });
  const text = await response.text();
  const data = text === '' ? undefined : JSON.parse(text);
  return { data, status: response.status, headers: response.headers } as T;
}
