import { expect, test } from 'vitest';
import { createCopyRing } from '../../src/lifecycle/copy-ring.ts';
import { createRandom } from '../random.ts';

test('copies stay as they are until they are given back, however much goes through', () => {
  const random = createRandom(3);
  const ring = createCopyRing(1_000);
  const held: { bytes: Buffer; room: number; expected: Buffer }[] = [];
  let copied = 0;
  let refused = 0;
  for (let round = 0; round < 20_000; round++) {
    const chunk = Buffer.alloc(1 + random(300), random(256));
    const copy = ring.copy(chunk);
    if (copy === undefined) refused++;
    else {
      copied++;
      held.push({ ...copy, expected: Buffer.from(chunk) });
      chunk.fill(0);
    }
    if (held.length === 0 || (copy !== undefined && random(3) > 0)) continue;
    const { bytes, room, expected } = held.shift()!;
    expect(bytes.equals(expected)).toBe(true);
    ring.release(room);
  }
  expect(copied).toBeGreaterThan(5_000);
  expect(refused).toBeGreaterThan(100);
});

test('what is larger than the ring is refused, what is as large fits when nothing is held', () => {
  const ring = createCopyRing(10);
  expect(ring.copy(Buffer.alloc(11))).toBeUndefined();
  const small = ring.copy(Buffer.alloc(1))!;
  expect(ring.copy(Buffer.alloc(10))).toBeUndefined();
  ring.release(small.room);
  ring.release(ring.copy(Buffer.alloc(9))!.room);
  expect(ring.copy(Buffer.alloc(10))?.bytes.length).toBe(10);
});
