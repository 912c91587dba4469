import { contains, formatAddress, formatCidr, parseCidr, type Address, type Cidr } from './address.ts';

const cidrs = (...texts: string[]): Cidr[] => texts.map((text) => parseCidr(text)!);

/**
 * Addresses of metadata services and their like. The operator can exempt one of them only by naming exactly it: a range that happens
 * to hold it does not.
 */
const METADATA = cidrs(
  '168.63.129.16',
  '169.254.169.254',
  '169.254.169.253',
  '169.254.169.123',
  '169.254.170.2',
  '169.254.170.23',
  '169.254.0.23',
  '169.254.10.10',
  '169.254.42.42',
  '100.100.100.200',
  '192.0.0.192',
  'fd00:ec2::254',
  'fd00:ec2::253',
  'fd00:ec2::23',
  'fd20:ce::254',
  'fd00:c1::a9fe:a9fe',
  'fd00:42::42',
  'fd00:a9fe:a9fe::1',
  'fd00:100::100:200',
  'fe80::a9fe:a9fe',
);

/** IPv4 that is not public: iana.org/assignments/iana-ipv4-special-registry, and multicast. */
const NOT_PUBLIC_4: [string, Cidr[]][] = [
  ['the unspecified network', cidrs('0.0.0.0/8')],
  ['a private network', cidrs('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16')],
  ['a shared network of a provider', cidrs('100.64.0.0/10')],
  ['loopback', cidrs('127.0.0.0/8')],
  ['link-local', cidrs('169.254.0.0/16')],
  [
    'reserved',
    cidrs(
      '192.0.0.0/24',
      '192.31.196.0/24',
      '192.52.193.0/24',
      '192.88.99.0/24',
      '192.175.48.0/24',
      '198.18.0.0/15',
      '240.0.0.0/4',
    ),
  ],
  ['documentation', cidrs('192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24')],
  ['multicast', cidrs('224.0.0.0/4')],
];

/** IPv6 that is not public, where a name helps; everything outside of 2000::/3 is not (iana-ipv6-special-registry). */
const NOT_PUBLIC_6: [string, Cidr[]][] = [
  ['the unspecified address', cidrs('::')],
  ['loopback', cidrs('::1')],
  ['an IPv4 address in an IPv6 one', cidrs('::/96', '::ffff:0:0/96', '::ffff:0:0:0/96')],
  ['an IPv4 address behind NAT64', cidrs('64:ff9b::/96', '64:ff9b:1::/48')],
  ['an IPv4 address behind 6to4', cidrs('2002::/16')],
  ['Teredo', cidrs('2001::/32')],
  ['link-local', cidrs('fe80::/10', 'fec0::/10')],
  ['a private network', cidrs('fc00::/7')],
  ['multicast', cidrs('ff00::/8')],
  ['documentation', cidrs('2001:db8::/32', '3fff::/20')],
  ['reserved', cidrs('2001::/23', '2620:4f:8000::/48')],
];

const PUBLIC_6 = parseCidr('2000::/3')!;

/** Names that metadata services answer to, and those of the own host; whatever they resolve to. */
const DENIED_NAMES = [
  'metadata.google.internal',
  'metadata.goog',
  'metadata.tencentyun.com',
  'instance-data',
  'instance-data.ec2.internal',
  'localhost',
];

/** What is exempt, and what is this host's own. */
export type AddressBook = {
  /** What the operator has exempted. */
  exempt: readonly Cidr[];
  /** Addresses of this host's interfaces. */
  local: readonly Address[];
};

/**
 * Why nobody reaches an address; `undefined` for one that is public, or that the operator has exempted. `exempted`: it is not public, and
 * was. An address must have passed `unmapped` before.
 */
export function denyAddress(
  address: Address,
  book: AddressBook,
): { reason: string; exemptible: boolean } | { exempted: boolean } {
  const reason = reasonOf(address, book.local);
  if (reason === undefined) return { exempted: false };
  const metadata = METADATA.some((cidr) => contains(cidr, address));
  const width = address.family === 4 ? 32 : 128;
  const exempted = book.exempt.some((cidr) => contains(cidr, address) && (!metadata || cidr.prefix === width));
  return exempted ? { exempted } : { reason, exemptible: !metadata };
}

/** Why nobody reaches a name; `undefined` for one that its addresses decide about. */
export function denyName(name: string): string | undefined {
  const found = DENIED_NAMES.find((denied) => name === denied || name.endsWith(`.${denied}`));
  return found === undefined ? undefined : `${found} is a name of the host or of its cloud`;
}

function reasonOf(address: Address, local: readonly Address[]): string | undefined {
  const text = formatAddress(address);
  const metadata = METADATA.some((cidr) => contains(cidr, address));
  if (metadata) return `${text} is a metadata service`;
  for (const [what, ranges] of address.family === 4 ? NOT_PUBLIC_4 : NOT_PUBLIC_6) {
    const range = ranges.find((cidr) => contains(cidr, address));
    if (range !== undefined) return `${text} is ${what} (${formatCidr(range)})`;
  }
  if (address.family === 6 && !contains(PUBLIC_6, address)) return `${text} is not a public address (2000::/3)`;
  const own = local.some((known) => known.family === address.family && known.value === address.value);
  return own ? `${text} is an address of this host` : undefined;
}
