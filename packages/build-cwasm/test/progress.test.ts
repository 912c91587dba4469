import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import { createProgress } from '../src/progress.ts';

function run(isTTY: boolean): string {
  let written = '';
  let now = 0;
  const stream = { isTTY, write: (text: string) => (written += text) };
  const progress = createProgress('mine', 2, { stream, now: () => now });
  progress.step('bundling');
  now += 1_250;
  progress.warn('something odd');
  progress.step('compiling');
  now += 50;
  progress.end('failed');
  progress.end('failed');
  return written;
}

test('is plain lines where there is no terminal', () => {
  const lines = stripVTControlCharacters(run(false));
  expect(lines).toBe(
    'mine [1/2] bundling …\nwarning: something odd\nmine [1/2] bundling: 1.3 s\nmine [2/2] compiling …\n',
  );
});

test('is one line that is drawn again on a terminal, each step marked when it is done', () => {
  const written = run(true);
  expect(written).toContain('\r\u001B[2K');
  const lines = stripVTControlCharacters(written).split('\n');
  expect(lines[0]).toMatch(/mine \[1\/2\] bundling 0\.0 s\r?.*warning: something odd$/);
  expect(lines[1]).toMatch(/✓ mine \[1\/2\] bundling 1\.3 s$/);
  expect(lines[2]).toMatch(/✗ mine \[2\/2\] compiling 0\.1 s$/);
  expect(lines.length).toBe(4);
});
