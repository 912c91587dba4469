import { describe, expect, test } from 'vitest';
import { contains, formatAddress, parseAddress, parseCidr } from '../../src/egress/address.ts';
import { parseHost } from '../../src/egress/host.ts';
import { judgeAddresses, judgeName } from '../../src/egress/judge.ts';
import { parseRules } from '../../src/egress/rule.ts';
import { SPELLINGS } from './spellings.ts';

const PUBLIC = { rules: parseRules('public', false), cap: undefined };
const BOOK = { exempt: [], local: [] };

function verdictOf(text: string): string {
  const host = parseHost(text);
  if (host.kind === 'invalid') return 'denied';
  if (host.kind === 'name') {
    const verdict = judgeName(PUBLIC, host.name, 80);
    return verdict === undefined ? 'reached' : verdict.refusal.by === 'denied' ? 'address_denied' : 'denied';
  }
  const verdict = judgeAddresses(PUBLIC, [host.address], 80, [], BOOK);
  return 'admitted' in verdict ? 'reached' : verdict.refusal.by === 'denied' ? 'address_denied' : 'denied';
}

describe('every spelling is one address, and is judged as that', () => {
  test.each(SPELLINGS)('%s: %s', (text, verdict) => {
    expect(verdictOf(text)).toBe(verdict);
  });

  test.each([
    ['1.1.1.1', '1.1.1.1'],
    ['1.1.1.1.', '1.1.1.1'],
    ['16843009', '1.1.1.1'],
    ['0x01010101', '1.1.1.1'],
    ['1.65793', '1.1.1.1'],
    ['[::ffff:1.1.1.1]', '1.1.1.1'],
    ['[2606:4700:4700::1111]', '2606:4700:4700::1111'],
    ['2606:4700:4700:0:0:0:0:1111', '2606:4700:4700::1111'],
  ])('%s is %s, which is public', (text, plain) => {
    const host = parseHost(text);
    expect(host.kind === 'address' && formatAddress(host.address)).toBe(plain);
    expect(verdictOf(text)).toBe('reached');
  });

  test.each([
    ['Example.COM.', 'example.com'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['ｅxample。com', 'example.com'],
    ['_dmarc.example.com', '_dmarc.example.com'],
    // A Cyrillic letter is another name, not the one that it looks like.
    ['mеtadata.goog', 'xn--mtadata-7gg.goog'],
  ])('%s is the name %s', (text, name) => {
    expect(parseHost(text)).toEqual({ kind: 'name', name });
  });

  test.each([
    '',
    ' ',
    'a b',
    'a/b',
    'a@b',
    'a\nb',
    'a\0b',
    'a?b',
    'a#b',
    '..',
    '.',
    'a'.repeat(254),
    `${'a'.repeat(64)}.b`,
  ])('%j is no host', (text) => {
    expect(parseHost(text).kind).toBe('invalid');
  });
});

describe('addresses', () => {
  test.each(['::', '::1', '1::', '1:2:3:4:5:6:7:8', '2001:db8::a:0:0:1', '1:0:0:2::3', '0.0.0.0', '255.255.255.255'])(
    '%s is written as it is read',
    (text) => {
      expect(formatAddress(parseAddress(text)!)).toBe(text);
    },
  );

  test.each([
    '',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '::1::',
    ':1',
    '1:',
    'g::',
    '::1.2.3',
    '1.2.3.4::',
    '::ffff:1.2.3.256',
  ])('%s is none', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  test('a range holds its ends and not what is beside them', () => {
    const range = parseCidr('172.16.0.0/12')!;
    const holds = (text: string): boolean => contains(range, parseAddress(text)!);
    expect(['172.16.0.0', '172.31.255.255', '172.15.255.255', '172.32.0.0', '::ac10:1'].map(holds)).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
    expect(contains(parseCidr('0.0.0.0/0')!, parseAddress('9.9.9.9')!)).toBe(true);
    expect(parseCidr('10.0.0.1/8')).toBeUndefined();
    expect(parseCidr('10.0.0.0/33')).toBeUndefined();
  });
});
