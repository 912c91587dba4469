import { expect, test } from 'vitest';
import { createBodyGarbage } from '../../src/lifecycle/body-garbage.ts';

test('the buffers of bodies are collected once for every 16 MiB', () => {
  const collected: unknown[] = [];
  const read = createBodyGarbage((options) => collected.push(options));
  const MIB = 1024 * 1024;
  for (let count = 0; count < 15; count++) read(MIB);
  expect(collected).toEqual([]);
  read(MIB);
  for (let count = 0; count < 64; count++) read(MIB / 4);
  expect(collected).toEqual([{ type: 'minor' }, { type: 'minor' }]);
});
