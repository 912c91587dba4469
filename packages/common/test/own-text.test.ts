import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ownText } from '../src/own-text.ts';

const MIB = 1024 * 1024;
const KEPT = 4_000;
const WHOLE_CHARACTERS = 30_000;

test.each(['', 'hello', 'acme/grün', '⚙️ 10 ½'])('is the same text: %j', (text) => {
  expect(ownText(text)).toBe(text);
});

test('what it was part of can go: without a copy all of it stays', () => {
  // In a process of its own, whose collector can be called.
  const heldBytes = (keep: string): number => {
    const script = `
      const { ownText } = await import(${JSON.stringify(join(import.meta.dirname, '../src/own-text.ts'))});
      const kept = [];
      for (let index = 0; index < ${KEPT}; index++) {
        const whole = Buffer.from('name-of-a-function-' + index + '?' + 'x'.repeat(${WHOLE_CHARACTERS})).toString('latin1');
        const part = whole.slice(0, whole.indexOf('?'));
        kept.push(${keep});
      }
      gc();
      console.log(process.memoryUsage().heapUsed, kept.length);`;
    const args = ['--expose-gc', '--input-type=module', '--eval', script];
    return Number.parseInt(execFileSync(process.execPath, args, { encoding: 'utf8' }), 10);
  };
  expect(heldBytes('part')).toBeGreaterThan(KEPT * WHOLE_CHARACTERS);
  expect(heldBytes('ownText(part)')).toBeLessThan(16 * MIB);
});
