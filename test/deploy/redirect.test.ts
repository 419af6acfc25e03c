/** The doctor with a real nginx that redirects. Carat does not follow redirects. */
import { expect, test } from 'vitest';
import { startNginx } from '../support/nginx.ts';
import { runCli } from '../support/run.ts';

test('the doctor names the address to which nginx redirects', async () => {
  const nginx = await startNginx('location /a { return 301 https://shop.example.com$request_uri; }');
  try {
    const { code, out } = await runCli(['doctor', '--json', `${nginx.url}/a`]);
    expect(code).toBe(1);
    const { findings } = JSON.parse(out) as { findings: { check: string }[] };
    const shapes = ['schedule edit', 'recharge', 'cancellation', 'generic operation', 'merchant registration'];
    for (const check of [...shapes, 'empty body']) {
      expect(findings).toContainEqual({
        check,
        state: 'fail',
        seen: 'answered 301, to https://shop.example.com/a',
        mend: 'register the address it redirects to, or answer here: Carat does not follow',
      });
    }
  } finally {
    await nginx.stop();
  }
});
