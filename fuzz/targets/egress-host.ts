import { isIP } from 'node:net';
import { formatAddress, parseAddress, unmapped } from '../../packages/dispatcher/src/egress/address.ts';
import { denyAddress } from '../../packages/dispatcher/src/egress/denied.ts';
import { parseHost } from '../../packages/dispatcher/src/egress/host.ts';
import type { FuzzTarget } from '../fuzz-target.ts';

/** A spelling that is refused, as opposed to one that is misunderstood. */
class Refused extends Error {}

/** What a function asks to be connected to, beside what the URL parser of the platform makes of it. */
export const EGRESS_HOST: FuzzTarget = {
  name: 'hosts of outgoing connections',
  seeds: () =>
    [
      '169.254.169.254',
      '0xa9fea9fe',
      '2852039166',
      '0251.0376.0251.0376',
      '127.1',
      '[::ffff:127.0.0.1]',
      '[64:ff9b::a9fe:a9fe]',
      '[fe80::1%25eth0]',
      'metadata.google.internal.',
      '１２７.０.０.１',
      'EXAMPLE.com',
      'xn--bcher-kva.example',
    ].map((text) => Buffer.from(text)),
  read: (input) => {
    const text = input.toString('utf8');
    const host = parseHost(text);
    if (host.kind === 'invalid') throw new Refused(host.reason);
    const named = hostOfUrl(text);
    const address = named === undefined || isIP(named) === 0 ? undefined : parseAddress(named);
    if (address === undefined) return;
    // What others take for an address must be the same one here: else it would be judged as a name, or as another address.
    if (host.kind !== 'address' || formatAddress(host.address) !== formatAddress(unmapped(address))) {
      throw new Error(`${JSON.stringify(text)} is ${named} to others, and ${JSON.stringify(describe(host))} here`);
    }
    if (/^(?:127|10|169\.254)\./.test(named!) && !('reason' in denyAddress(host.address, NOBODYS))) {
      throw new Error(`${named} is not denied`);
    }
  },
  isRefusal: (error) => error instanceof Refused,
};

const NOBODYS = { exempt: [], local: [] };

function hostOfUrl(text: string): string | undefined {
  try {
    return new URL(`http://${text}/`).hostname.replace(/^\[(.*)\]$/, '$1');
  } catch {
    // No URL at all: nobody takes it for an address.
    return undefined;
  }
}

function describe(host: ReturnType<typeof parseHost>): string {
  return host.kind === 'address' ? formatAddress(host.address) : host.kind;
}
