import { expect, test } from 'vitest';
import { describeSignal } from '../../src/runner/signal-name.ts';

test.each([
  [9, 'SIGKILL'],
  [31, 'SIGSYS (it asked the kernel for something that no runner asks for)'],
  [64, 'signal 64'],
])('%i is %s', (number, text) => {
  expect(describeSignal(number)).toBe(text);
});
