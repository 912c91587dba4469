/** An IP address as a number, so that no two spellings of it differ. */
export type Address = { family: 4 | 6; value: bigint };

const MAX_32 = 0xffff_ffffn;

/** A range of addresses. */
export type Cidr = { family: 4 | 6; value: bigint; prefix: number };

/** Parses the plain dotted form of an IPv4 address: four decimal numbers. */
export function parseIpv4(text: string): Address | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  let value = 0n;
  for (const part of match.slice(1)) {
    // A leading zero means octal to some programs and nothing to others.
    if (Number(part) > 255 || (part.length > 1 && part.startsWith('0'))) return undefined;
    value = (value << 8n) | BigInt(part);
  }
  return { family: 4, value };
}

/** Parses an IPv6 address without brackets and zone (RFC 4291 §2.2). */
export function parseIpv6(text: string): Address | undefined {
  let rest = text;
  let tail: bigint[] = [];
  const dotted = /^(.*:)([^:]*\..*)$/.exec(text);
  if (dotted !== null) {
    const ipv4 = parseIpv4(dotted[2]!);
    if (ipv4 === undefined) return undefined;
    tail = [ipv4.value >> 16n, ipv4.value & 0xffffn];
    rest = dotted[1]!.endsWith('::') ? dotted[1]! : dotted[1]!.slice(0, -1);
  }
  const halves = rest.split('::');
  if (halves.length > 2) return undefined;
  const before = groups(halves[0]!);
  const after = halves.length === 2 ? groups(halves[1]!) : [];
  if (before === undefined || after === undefined) return undefined;
  const known = before.length + after.length + tail.length;
  // `::` stands for at least one group.
  if (halves.length === 2 ? known > 7 : known !== 8) return undefined;
  const all = [...before, ...Array<bigint>(8 - known).fill(0n), ...after, ...tail];
  return { family: 6, value: all.reduce((value, group) => (value << 16n) | group, 0n) };
}

function groups(text: string): bigint[] | undefined {
  if (text === '') return [];
  const parts = text.split(':');
  return parts.every((part) => /^[0-9a-fA-F]{1,4}$/.test(part)) ? parts.map((part) => BigInt(`0x${part}`)) : undefined;
}

/** Parses an address in its plain form, IPv4 or IPv6. */
export function parseAddress(text: string): Address | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

/** The text of an address: dotted, or in the canonical form of RFC 5952. */
export function formatAddress({ family, value }: Address): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join('.');
  const parts = Array.from({ length: 8 }, (_, at) => ((value >> BigInt(112 - 16 * at)) & 0xffffn).toString(16));
  let longest = { at: -1, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (parts[at + length] === '0') length++;
    if (length > longest.length) longest = { at, length };
  }
  if (longest.at < 0) return parts.join(':');
  return `${parts.slice(0, longest.at).join(':')}::${parts.slice(longest.at + longest.length).join(':')}`;
}

/** The bytes of an address in network order: 4 or 16. */
export function addressBytes({ family, value }: Address): Buffer {
  return Buffer.from(value.toString(16).padStart(family === 4 ? 8 : 32, '0'), 'hex');
}

/** Parses `ADDRESS/BITS`, or one address. Bits beyond the prefix must be zero. */
export function parseCidr(text: string): Cidr | undefined {
  const [plain, bits, ...more] = text.split('/');
  const address = parseAddress(plain!);
  if (address === undefined || more.length > 0) return undefined;
  const width = address.family === 4 ? 32 : 128;
  if (bits !== undefined && !/^\d{1,3}$/.test(bits)) return undefined;
  const prefix = bits === undefined ? width : Number(bits);
  if (prefix > width) return undefined;
  const cidr = { ...address, prefix };
  return (address.value & ((1n << BigInt(width - prefix)) - 1n)) === 0n ? cidr : undefined;
}

/** The text of a range. */
export function formatCidr(cidr: Cidr): string {
  return `${formatAddress(cidr)}/${cidr.prefix}`;
}

/** Whether an address lies in a range of its own family. */
export function contains(cidr: Cidr, address: Address): boolean {
  if (cidr.family !== address.family) return false;
  const shift = BigInt((cidr.family === 4 ? 32 : 128) - cidr.prefix);
  return cidr.value >> shift === address.value >> shift;
}

/** An IPv4 address that is written as an IPv6 one (`::ffff:a.b.c.d`) is that IPv4 address; every other is itself. */
export function unmapped(address: Address): Address {
  if (address.family === 6 && address.value >> 32n === 0xffffn) return { family: 4, value: address.value & MAX_32 };
  return address;
}
