import type { IncomingMessage } from 'node:http';
import { describe, expect, test } from 'vitest';
import { clientKey, createClientAddress } from '../../src/admission/client-address.ts';

const from = (remoteAddress: string, forwarded?: string): IncomingMessage =>
  ({
    socket: { remoteAddress },
    headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
  }) as unknown as IncomingMessage;

describe('createClientAddress', () => {
  test.each([
    ['', '203.0.113.5', '198.51.100.1', '203.0.113.5'],
    ['loopback', '203.0.113.5', '198.51.100.1', '203.0.113.5'],
    ['loopback', '127.0.0.1', '198.51.100.1', '198.51.100.1'],
    ['loopback', '::ffff:127.0.0.1', '198.51.100.1', '198.51.100.1'],
    ['loopback', '::1', '2001:db8::1', '2001:db8::1'],
    ['loopback', '127.0.0.1', '1.2.3.4, 198.51.100.1', '198.51.100.1'],
    ['loopback, 10.0.0.0/8', '127.0.0.1', '1.2.3.4, 198.51.100.1, 10.1.2.3', '198.51.100.1'],
    ['loopback', '127.0.0.1', '198.51.100.1, nonsense', '127.0.0.1'],
    ['loopback', '127.0.0.1', '', '127.0.0.1'],
    ['2001:db8::/32', '2001:db8::9', '::ffff:198.51.100.7', '198.51.100.7'],
  ])('trusting %j, from %s with %j it is %s', (trusted, remote, forwarded, expected) => {
    expect(createClientAddress(trusted)(from(remote, forwarded))).toBe(expected);
  });

  test.each(['10.0.0.0/33', '10.0.0.0/x', 'example.com', '10.0.0.0/8/8', '::1/129'])('%s stops the start', (text) => {
    expect(() => createClientAddress(text)).toThrow(text);
  });
});

test.each([
  ['203.0.113.5', '203.0.113.5'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:DB8:0001::6', '2001:db8:1:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1', 'fe80:0:0:0::/64'],
])('%s counts as %s', (address, key) => {
  expect(clientKey(address)).toBe(key);
});
