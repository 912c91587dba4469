import { domainToASCII } from 'node:url';
import { parseAddress, unmapped, type Address } from './address.ts';

/** What a guest has asked for: a name to be looked up, an address, or neither. */
export type Host =
  | { kind: 'name'; name: string }
  | { kind: 'address'; address: Address }
  | { kind: 'invalid'; reason: string };

const MAX_NAME_LENGTH = 253;
/** Labels as they occur in practice: with underscores, which service names have. */
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/**
 * Finds out what a host is, in whatever spelling, as the laxest of programs would: `0x7f.1`, `2130706433` and `127.0.0.1.` are one
 * address. It is done once; what comes out of it is judged, looked up and dialled.
 */
export function parseHost(text: string): Host {
  if (text === '') return invalid('it is empty');
  // eslint-disable-next-line no-control-regex -- control characters are what it looks for
  if (/[\u0000-\u0020\u007f/\\@?#]/.test(text)) return invalid('it holds a character that no host has');
  const bracketed = /^\[(.*)\]$/.exec(text);
  const bare = bracketed?.[1] ?? text;
  if (bare.includes(':')) {
    if (bare.includes('%')) return invalid('it names a zone, which means an interface of the host');
    const address = parseAddress(bare);
    return address === undefined
      ? invalid('it is not an IPv6 address')
      : { kind: 'address', address: unmapped(address) };
  }
  if (bracketed !== null) return invalid('it is not an IPv6 address');
  // Nothing decodes it later on; to some programs %2e is a dot.
  if (bare.includes('%')) return invalid('it holds a percent sign');
  // Lower case, full-width digits and ideographic dots as plain ones, other scripts as Punycode.
  const ascii = domainToASCII(bare);
  if (ascii === '') return invalid('it is not a domain name');
  const name = ascii.replace(/\.$/, '');
  const labels = name.split('.');
  if (isNumeric(labels.at(-1)!)) {
    const address = parseLaxIpv4(labels);
    return address === undefined ? invalid('it ends in a number and is not an address') : { kind: 'address', address };
  }
  if (name.length > MAX_NAME_LENGTH || !labels.every((label) => LABEL.test(label))) {
    return invalid('it is not a domain name');
  }
  return { kind: 'name', name };
}

function invalid(reason: string): Host {
  return { kind: 'invalid', reason };
}

/** Whether a last label makes the whole an address (https://url.spec.whatwg.org/#ends-in-a-number-checker). */
function isNumeric(label: string): boolean {
  return /^(?:\d+|0x[0-9a-f]*)$/i.test(label);
}

/** One to four parts, each decimal, octal (`0…`) or hexadecimal (`0x…`), as inet_aton(3) takes them. */
function parseLaxIpv4(parts: string[]): Address | undefined {
  if (parts.length > 4) return undefined;
  const numbers = parts.map(parseLaxNumber);
  let value = 0n;
  for (const [at, number] of numbers.entries()) {
    if (number === undefined) return undefined;
    const bits = at === parts.length - 1 ? BigInt(8 * (5 - parts.length)) : 8n;
    if (number >> bits !== 0n) return undefined;
    value = (value << bits) | number;
  }
  return { family: 4, value };
}

function parseLaxNumber(text: string): bigint | undefined {
  if (/^0x[0-9a-f]*$/i.test(text)) return BigInt(text.length === 2 ? 0 : text);
  if (/^0[0-7]*$/.test(text)) return BigInt(`0o0${text}`);
  return /^[1-9]\d*$/.test(text) ? BigInt(text) : undefined;
}
