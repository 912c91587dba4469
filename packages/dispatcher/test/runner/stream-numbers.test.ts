import { expect, test } from 'vitest';
import { createStreamNumbers, MAX_SLOTS, slotOf } from '../../src/runner/stream-numbers.ts';

test("a stream's number is odd, names its slot, and differs from the last one of that slot", () => {
  const streamNumber = createStreamNumbers();
  const seen = new Set<number>();
  for (let round = 0; round < 3; round++) {
    for (let slot = 0; slot < MAX_SLOTS; slot++) {
      const number = streamNumber(slot);
      expect(number % 2).toBe(1);
      expect(number).toBeLessThanOrEqual(0xffff_ffff);
      expect(slotOf(number)).toBe(slot);
      seen.add(number);
    }
  }
  // 21 random bits each: a repetition within a slot is a matter of one in a thousand for all slots together.
  expect(seen.size).toBeGreaterThan(MAX_SLOTS * 3 - 20);
});
