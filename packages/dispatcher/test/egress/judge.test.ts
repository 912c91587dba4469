import { describe, expect, test } from 'vitest';
import { formatAddress, parseAddress, parseCidr } from '../../src/egress/address.ts';
import { judgeAddresses, judgeName, type RuleSets } from '../../src/egress/judge.ts';
import { parseRule, parseRules } from '../../src/egress/rule.ts';

const sets = (rules: string, cap?: string): RuleSets => ({
  rules: parseRules(rules, true),
  cap: cap === undefined ? undefined : parseRules(cap, true),
});

function admitted(
  rules: RuleSets,
  name: string,
  addresses: string[],
  port: number,
  exempt: string[] = [],
): string[] | string {
  const named = judgeName(rules, name, port);
  if (named !== undefined) return named.refusal.by;
  const book = { exempt: exempt.map((text) => parseCidr(text)!), local: [parseAddress('8.8.4.4')!] };
  const verdict = judgeAddresses(
    rules,
    addresses.map((text) => parseAddress(text)!),
    port,
    [name],
    book,
  );
  return 'admitted' in verdict ? verdict.admitted.map(({ address }) => formatAddress(address)) : verdict.refusal.by;
}

describe('rules', () => {
  test.each([
    ['public', 'a.example', 443, true],
    ['public', 'a.example', 25, false],
    ['none', 'a.example', 443, false],
    ['https://a.example', 'a.example', 443, true],
    ['https://a.example', 'a.example', 80, false],
    ['https://a.example', 'b.a.example', 443, false],
    ['https://A.Example.', 'a.example', 443, true],
    ['http://a.example:8080', 'a.example', 8080, true],
    ['http://a.example:8080', 'a.example', 80, false],
    ['*.a.example:443', 'b.a.example', 443, true],
    ['*.a.example:443', 'c.b.a.example', 443, true],
    ['*.a.example:443', 'a.example', 443, false],
    ['*.a.example:443', 'xa.example', 443, false],
    ['tcp://a.example:5432', 'a.example', 5432, true],
    ['tcp://a.example:25', 'a.example', 25, true],
    ['a.example', 'a.example', 12345, true],
    ['9.9.9.9', 'a.example', 53, true],
    ['9.9.9.0/24', 'a.example', 53, true],
    ['9.9.9.0/24:53', 'a.example', 54, false],
    ['8.0.0.0/8', 'a.example', 53, false],
  ])('%s and %s port %d: %s', (rules, name, port, allowed) => {
    expect(Array.isArray(admitted(sets(rules), name, ['9.9.9.9'], port))).toBe(allowed);
  });

  test.each([
    'ftp://a',
    'tcp://a',
    'https://a:0',
    'https://a:65536',
    'https://a/b',
    'a b',
    'https://',
    '*',
    '*.*.a',
    '2130706433',
    '0x7f.1',
    'a..b',
    'public:80',
  ])('%s is none', (text) => {
    expect(() => parseRule(text, true)).toThrow(/is not a rule/);
  });

  test('a range is for the operator only', () => {
    expect(() => parseRule('10.0.0.0/8', false)).toThrow('the operator does not allow ranges');
    expect(parseRule('10.0.0.7:5432', false)).toMatchObject({ kind: 'range', port: 5432 });
    expect(parseRule('[fd00::7]:5432', false)).toMatchObject({ kind: 'range', port: 5432 });
  });
});

describe('addresses of a name', () => {
  test('of mixed ones only the public are left', () => {
    expect(admitted(sets('public'), 'a.example', ['10.0.0.1', '9.9.9.9', '::1', '2606:4700::1'], 443)).toEqual([
      '9.9.9.9',
      '2606:4700::1',
    ]);
  });

  test('a rule for a name does not reach what nobody reaches', () => {
    for (const address of ['10.0.0.1', '127.0.0.1', '169.254.169.254', '::ffff:10.0.0.1', '8.8.4.4']) {
      expect([address, admitted(sets('https://a.example'), 'a.example', [address], 443)]).toEqual([address, 'denied']);
    }
  });

  test('what the operator exempts is reached by a rule that names it, not by `public`', () => {
    expect(admitted(sets('tcp://db:5432'), 'db', ['10.0.0.1'], 5432, ['10.0.0.0/24'])).toEqual(['10.0.0.1']);
    expect(admitted(sets('public'), 'db', ['10.0.0.1'], 5432, ['10.0.0.0/24'])).toBe('policy');
    expect(admitted(sets('tcp://db:5432'), 'db', ['10.0.1.1'], 5432, ['10.0.0.0/24'])).toBe('denied');
  });

  test('a metadata service is exempt only where it is named alone', () => {
    expect(admitted(sets('tcp://m:80'), 'm', ['169.254.169.254'], 80, ['169.254.0.0/16'])).toBe('denied');
    expect(admitted(sets('tcp://m:80'), 'm', ['169.254.169.254'], 80, ['169.254.169.254'])).toEqual([
      '169.254.169.254',
    ]);
  });

  test("the operator's cap stands above a function's rules", () => {
    expect(admitted(sets('a.example', 'https://a.example'), 'a.example', ['9.9.9.9'], 443)).toEqual(['9.9.9.9']);
    expect(admitted(sets('a.example', 'https://a.example'), 'a.example', ['9.9.9.9'], 80)).toBe('policy');
    expect(admitted(sets('public', 'none'), 'a.example', ['9.9.9.9'], 443)).toBe('policy');
  });

  test('a refusal names the line that would allow it', () => {
    const refusal = judgeName(sets('none'), 'api.example.com', 443)!.refusal;
    expect(refusal).toEqual({
      by: 'policy',
      reason: 'no rule allows api.example.com:443',
      remedy: 'add "https://api.example.com" to net.allow',
    });
  });
});
