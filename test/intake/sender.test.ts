import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { SenderPolicy } from '../../src/intake/sender.ts';

function sources(allowed = '', trusted = ''): SenderPolicy {
  const { allowedSources, trustedProxies } = readConfig({ ALLOWED_SOURCES: allowed, TRUSTED_PROXIES: trusted });
  return new SenderPolicy(allowedSources, trustedProxies);
}

const TRUSTED = '127.0.0.1, 10.0.0.0/8, ::1, fd00::/8';

describe('the sender', () => {
  test.each<[string, string | undefined, string | undefined, string]>([
    ['is the peer', '192.0.2.7', undefined, '192.0.2.7'],
    ['is the peer although it claims another', '192.0.2.7', '198.51.100.1', '192.0.2.7'],
    ['is nobody when the peer is gone', undefined, undefined, ''],
    ['is nobody when the peer is gone, whatever it claimed', undefined, '198.51.100.1', ''],
    ['is whom the proxy names', '127.0.0.1', '198.51.100.1', '198.51.100.1'],
    ['is the proxy when it names nobody', '10.0.0.1', undefined, '10.0.0.1'],
    ['is the proxy when the header is empty', '10.0.0.1', '', '10.0.0.1'],
    ['is the right-most address that is not a proxy', '127.0.0.1', '1.1.1.1, 198.51.100.1, 10.9.9.9', '198.51.100.1'],
    ['is not what stands left of it', '127.0.0.1', '10.0.0.9, 198.51.100.1', '198.51.100.1'],
    ['is the left-most when all are proxies', '127.0.0.1', '10.0.0.3,10.0.0.2', '10.0.0.3'],
    ['may come without spaces and with many', '127.0.0.1', ' 1.1.1.1 ,\t198.51.100.1  ', '198.51.100.1'],
    ['may come with a port', '127.0.0.1', '198.51.100.1:4711', '198.51.100.1'],
    ['may be IPv6', '127.0.0.1', '2001:db8::1', '2001:db8::1'],
    ['may be IPv6 in brackets', '127.0.0.1', '[2001:db8::1]', '2001:db8::1'],
    ['may be IPv6 with a port', '127.0.0.1', '[2001:db8::1]:4711', '2001:db8::1'],
    ['may come by a proxy with IPv6', '::1', '198.51.100.1, fd12::1', '198.51.100.1'],
    ['may come by a proxy mapped into IPv6', '::ffff:127.0.0.1', '198.51.100.1', '198.51.100.1'],
    ['may come by a proxy mapped in hexadecimal', '::ffff:7f00:1', '198.51.100.1', '198.51.100.1'],
    ['may be mapped into IPv6', '::FFFF:192.0.2.7', undefined, '192.0.2.7'],
    ['may be mapped by the proxy', '127.0.0.1', '::ffff:198.51.100.1', '198.51.100.1'],
    ['is the proxy that named junk', '127.0.0.1', '198.51.100.1, unknown', '127.0.0.1'],
    ['is the last proxy before junk', '127.0.0.1', 'junk, 10.0.0.2', '10.0.0.2'],
    ['is the proxy when a comma ends it', '127.0.0.1', '198.51.100.1,', '127.0.0.1'],
    ['is not an out-of-range address', '127.0.0.1', '300.1.1.1', '127.0.0.1'],
    ['is not a name', '127.0.0.1', 'example.test', '127.0.0.1'],
    ['is not an address with a mask', '127.0.0.1', '198.51.100.1/32', '127.0.0.1'],
    ['is not an address with a leading zero', '127.0.0.1', '198.51.100.01', '127.0.0.1'],
    ['may be of a link', 'fe80::1%eth0', undefined, 'fe80::1%eth0'],
    ['may be of a link by a proxy', '127.0.0.1', 'fe80::1%eth0', 'fe80::1%eth0'],
  ])('%s', (_name, peer, forwarded, expected) => {
    expect(sources('', TRUSTED).senderOf(peer, forwarded)).toBe(expected);
  });

  test('is the peer when no proxy is trusted', () => {
    expect(sources().senderOf('127.0.0.1', '198.51.100.1')).toBe('127.0.0.1');
  });
});

describe('the allow-list', () => {
  test.each([
    ['', '192.0.2.7', true],
    ['', '', true],
    ['192.0.2.7', '192.0.2.7', true],
    ['192.0.2.7', '192.0.2.8', false],
    ['192.0.2.0/24', '192.0.2.255', true],
    ['192.0.2.0/24', '192.0.3.0', false],
    ['192.0.2.0/24, 2001:db8::/32', '2001:db8:ffff::1', true],
    ['192.0.2.0/24', '2001:db8::1', false],
    ['2001:db8::/32', '192.0.2.7', false],
    ['0.0.0.0/0', '192.0.2.7', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['::/0', '2001:db8::1', true],
    ['fe80::/10', 'fe80::1%eth0', true],
    ['192.0.2.7', '', false],
    ['192.0.2.7', 'junk', false],
  ])('%s: %s %s', (allowed, sender, expected) => {
    expect(sources(allowed).isAllowed(sender)).toBe(expected);
  });
});

test('has a sender and a verdict for any header of a proxy', () => {
  const said = fc.oneof(fc.string(), fc.ipV4(), fc.ipV6(), fc.array(fc.oneof(fc.ipV4(), fc.ipV6())).map(String));
  const checked = sources('10.0.0.0/8, fe80::/10', '0.0.0.0/0, ::/0');
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), said, (peer, forwarded) => {
      expect(typeof checked.isAllowed(checked.senderOf(peer, forwarded))).toBe('boolean');
    }),
  );
});
