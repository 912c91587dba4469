import { describe, expect, test } from 'vitest';
import { rewriteRegularExpressions } from '../../src/javascript/regular-expressions.ts';

const SAMPLES = ['', 'a', 'Z', 'Ä', 'ß', 'é', '9', '٣', '中', '\u{1F600}', 'x1', 'A-b', 'ABC', '\u{10400}', ' ', '_'];

/** What a literal matches in each sample. */
function matches(literal: string): unknown[] {
  const pattern = new Function(`return ${literal}`)() as RegExp;
  return SAMPLES.map((sample) => sample.match(pattern)?.slice());
}

describe('a literal that the engine does not read', () => {
  test.each([
    String.raw`/\p{L}/u`,
    String.raw`/^\P{Lu}+$/u`,
    String.raw`/^[\p{L}\d]+$/iu`,
    String.raw`/(?<word>\p{Script=Han})|\p{Emoji}/u`,
    String.raw`/^[\p{L}--[a-z]]$/v`,
    String.raw`/^[[A-Z]&&\p{ASCII}]+$/v`,
    String.raw`/[a-z]/v`,
  ])('%s matches the same after it was rewritten', (literal) => {
    const rewritten = rewriteRegularExpressions(`const x = ${literal};`);
    const replaced = rewritten!.slice('const x = '.length, -1);
    expect(replaced).not.toMatch(/\\p\{/i);
    expect(replaced).toMatch(/\/[a-z]*u[a-z]*$/);
    expect(matches(replaced)).toEqual(matches(literal));
  });

  test('is found wherever it stands, after other characters than ASCII too', () => {
    const code = `const text = 'é\u{1F600}';\nfunction f() { return text.replace(/\\p{L}/gu, '') + \`\${/\\p{N}/u.test(text)}\`; }`;
    const rewritten = rewriteRegularExpressions(code)!;
    expect(rewritten.split('\n').length).toBe(2);
    expect(new Function(`${rewritten}; return f();`)()).toBe('\u{1F600}false');
  });
});

test.each([
  'const a = 1 / 2 / v;',
  String.raw`const text = "\\p{L}";`,
  String.raw`const a = /a\/b/g;`,
  String.raw`const a = /\p{L}/;`,
  '',
])('%s is left alone', (code) => {
  expect(rewriteRegularExpressions(code)).toBeUndefined();
});
