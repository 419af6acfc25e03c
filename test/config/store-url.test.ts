import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { parseStoreUrl, type RedisAddress } from '../../src/config/store-url.ts';
import { makeCertificate } from '../support/certificate.ts';
import { GuardedFolder } from '../support/guarded-folder.ts';

const node = (host: string, port: number): { host: string; port: number } => ({ host, port });
const single = { topology: 'single', tls: false, db: 0 } as const;

test('reads the authority of `ca`', async () => {
  const folder = await GuardedFolder.make('ca-');
  try {
    const { certFile } = await makeCertificate(folder.path);
    const ca = await readFile(certFile, 'utf8');
    const expected = { ...single, tls: true, nodes: [node('h', 6379)], ca, shown: 'rediss://h:6379' };
    expect(parseStoreUrl(`rediss://h?ca=${certFile}`)).toEqual(expected);
  } finally {
    await folder.remove();
  }
});

describe('the forms of STORE_URL', () => {
  test.each<[string, RedisAddress]>([
    ['redis://h', { ...single, nodes: [node('h', 6379)], shown: 'redis://h:6379' }],
    ['redis://h/', { ...single, nodes: [node('h', 6379)], shown: 'redis://h:6379' }],
    [
      'redis://10.0.0.1:1234/5',
      { ...single, nodes: [node('10.0.0.1', 1234)], db: 5, shown: 'redis://10.0.0.1:1234/5' },
    ],
    ['redis://[::1]:7', { ...single, nodes: [node('::1', 7)], shown: 'redis://[::1]:7' }],
    ['redis://[2001:db8::1]', { ...single, nodes: [node('2001:db8::1', 6379)], shown: 'redis://[2001:db8::1]:6379' }],
    ['redis://:p%40ss@h', { ...single, nodes: [node('h', 6379)], password: 'p@ss', shown: 'redis://h:6379' }],
    [
      'redis://u:p:q@h',
      { ...single, nodes: [node('h', 6379)], username: 'u', password: 'p:q', shown: 'redis://h:6379' },
    ],
    ['redis://u@h', { ...single, nodes: [node('h', 6379)], username: 'u', shown: 'redis://h:6379' }],
    ['redis://u:@h', { ...single, nodes: [node('h', 6379)], username: 'u', password: '', shown: 'redis://h:6379' }],
    ['rediss://h', { ...single, tls: true, nodes: [node('h', 6379)], shown: 'rediss://h:6379' }],
    [
      'redis-sentinel://a:1,b/mymaster',
      {
        ...{ topology: 'sentinel', tls: false, db: 0, masterName: 'mymaster' },
        nodes: [node('a', 1), node('b', 26_379)],
        shown: 'redis-sentinel://a:1,b:26379/mymaster',
      },
    ],
    [
      'redis-sentinel://u:p@a/m/3',
      {
        ...{ topology: 'sentinel', tls: false, db: 3, masterName: 'm', username: 'u', password: 'p' },
        nodes: [node('a', 26_379)],
        shown: 'redis-sentinel://a:26379/m/3',
      },
    ],
    [
      'redis-sentinel://a/m?sentinel_username=u&sentinel_password=p%40ss',
      {
        ...{
          topology: 'sentinel',
          tls: false,
          db: 0,
          masterName: 'm',
          sentinelUsername: 'u',
          sentinelPassword: 'p@ss',
        },
        nodes: [node('a', 26_379)],
        shown: 'redis-sentinel://a:26379/m',
      },
    ],
    [
      'redis-cluster://a:1,b:2',
      { topology: 'cluster', tls: false, db: 0, nodes: [node('a', 1), node('b', 2)], shown: 'redis-cluster://a:1,b:2' },
    ],
    [
      'rediss-cluster://a:1/0',
      { topology: 'cluster', tls: true, db: 0, nodes: [node('a', 1)], shown: 'rediss-cluster://a:1' },
    ],
  ])('%s', (url, expected) => {
    expect(parseStoreUrl(url)).toEqual(expected);
    expect(parseStoreUrl(url).shown).not.toMatch(/@|p%40ss/);
  });
});

describe('refuses an invalid STORE_URL without user and password in the message', () => {
  test.each([
    ['h:6379', 'expected an address that begins with redis://'],
    ['REDIS://h', 'expected an address that begins with redis://'],
    ['mysql://S3CRET@h', 'expected an address that begins with redis://'],
    ['__proto__://h', 'expected an address that begins with redis://'],
    ['constructor://h', 'expected an address that begins with redis://'],
    ['redis:h', 'expected an address that begins with redis://'],
    ['redis://', 'expected host:port'],
    ['redis://h:0', 'expected host:port'],
    ['redis://h:65536', 'expected host:port'],
    ['redis://h:x', 'expected host:port'],
    ['redis://h h', 'expected host:port'],
    ['redis://[::1', 'expected host:port'],
    ['redis-cluster://a,,b', 'expected host:port'],
    ['redis-cluster://a,', 'expected host:port'],
    ['redis://a,b', 'expected one host after redis://'],
    ['redis://h/x', 'expected the number of a database'],
    ['redis://h/-1', 'expected the number of a database'],
    ['redis://h/1/2', 'expected the number of a database'],
    ['redis-cluster://h/1', 'expected no database but 0'],
    ['redis-sentinel://a:1', 'expected the name of the master'],
    ['redis-sentinel://a:1/', 'expected the name of the master'],
    ['redis://h?db=1', 'expected no parameter but ca, sentinel_username, sentinel_password'],
    ['redis://h?ca=x', 'only in an address with TLS'],
    ['redis://u:S3CRET%zz@h', 'percent-encoded'],
    ['redis://u:S3CRET/x@h', 'percent-encoded'],
    ['redis://:S3@CRET@h:6379', 'percent-encoded'],
    ['redis-cluster://:S3@CRET@a,b', 'percent-encoded'],
    ['redis://u:S3CRET@h:x', 'expected host:port'],
    ['redis://h?sentinel_password=S3CRET', 'only in an address of sentinels'],
    ['rediss://h?ca=/no/such@file', 'expected the file of "ca" to be readable: ENOENT'],
    [`rediss://h?ca=${import.meta.filename}`, 'expected the file of "ca" to hold a certificate'],
  ])('%s', (url, message) => {
    expect(() => parseStoreUrl(url)).toThrow(message);
    expect(() => parseStoreUrl(url)).not.toThrow('S3CRET');
  });
});
