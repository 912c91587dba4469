import { BlockList, isIP } from 'node:net';
import type { IncomingMessage } from 'node:http';
import { ConfigError } from '../config/config-error.ts';

/** Tells from where a request comes. */
export type ClientAddress = (request: IncomingMessage) => string;

/**
 * The address of the connection or, where that is a trusted proxy's, the last one in `X-Forwarded-For` that is not: everything before it
 * could have been made up by the caller.
 *
 * @param trustedProxies addresses and networks (`10.0.0.0/8`), separated by commas; `loopback` is this machine
 * @throws {ConfigError} for what is neither.
 */
export function createClientAddress(trustedProxies: string): ClientAddress {
  const proxies = parseNetworks(trustedProxies);
  const isProxy = (address: string): boolean => {
    const family = isIP(address);
    return family !== 0 && proxies.check(address, family === 4 ? 'ipv4' : 'ipv6');
  };
  return (request) => {
    let address = plainAddress(request.socket.remoteAddress ?? '');
    const forwarded = request.headers['x-forwarded-for'];
    if (forwarded === undefined || !isProxy(address)) return address;
    const hops = String(forwarded).split(',');
    for (let at = hops.length - 1; at >= 0 && isProxy(address); at--) {
      const hop = plainAddress(hops[at]!.trim());
      if (isIP(hop) === 0) break;
      address = hop;
    }
    return address;
  };
}

/** Whose requests are counted together: an IPv4 address, or the /64 network of an IPv6 address, which is what one subscriber has. */
export function clientKey(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head, tail] = address.split('::') as [string, string | undefined];
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  const groups = [...before, ...Array.from({ length: zeros }, () => '0'), ...after];
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, '').toLowerCase())
    .join(':')}::/64`;
}

/** An IPv4 address that a dual-stack socket shows as IPv6 is an IPv4 address. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address;
}

function parseNetworks(text: string): BlockList {
  const list = new BlockList();
  for (const item of text.split(',').map((part) => part.trim())) {
    if (item === '') continue;
    if (item === 'loopback') {
      list.addSubnet('127.0.0.0', 8, 'ipv4');
      list.addAddress('::1', 'ipv6');
      continue;
    }
    const [address, prefix, ...more] = item.split('/') as [string, string | undefined];
    const family = isIP(address);
    const bits = family === 4 ? 32 : 128;
    const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1;
    if (family === 0 || length < 0 || length > bits || more.length > 0) {
      throw new ConfigError(
        `trusted-proxies: "${item}" is no address, no network such as 10.0.0.0/8, and not loopback`,
      );
    }
    list.addSubnet(address, length, family === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}
