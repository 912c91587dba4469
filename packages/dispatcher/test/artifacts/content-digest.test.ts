import { createHash, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { createContentDigest, type ContentDigest } from '../../src/artifacts/content-digest.ts';

const CONTENT = randomBytes(10_000);

function feed(chunkBytes: number, heldBytes = 100): ContentDigest {
  const digest = createContentDigest(heldBytes);
  for (let at = 0; at < CONTENT.length; at += chunkBytes) digest.update(CONTENT.subarray(at, at + chunkBytes));
  return digest;
}

const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

test.each([1, 7, 99, 100, 101, 4096, 10_000])('in chunks of %i bytes', (chunkBytes) => {
  for (const counted of [9_900, 9_950, 10_000]) {
    const digest = feed(chunkBytes);
    expect(digest.bytes()).toBe(10_000);
    expect(digest.of(counted)).toBe(sha256(CONTENT.subarray(0, counted)));
  }
  const end = feed(chunkBytes).end();
  expect(end.length).toBeGreaterThanOrEqual(100);
  expect(end.length).toBeLessThanOrEqual(200);
  expect(end.equals(CONTENT.subarray(-end.length))).toBe(true);
});

test('what is shorter than what is held back is held as a whole', () => {
  const digest = feed(1_000, 20_000);
  expect(digest.end().equals(CONTENT)).toBe(true);
  expect(digest.of(5)).toBe(sha256(CONTENT.subarray(0, 5)));
});

test('a part that has passed already, or that never came, is no digest', () => {
  expect(() => feed(100).of(9_799)).toThrow(RangeError);
  expect(() => feed(100).of(10_001)).toThrow(RangeError);
});

test('nothing has a digest and an end too', () => {
  const digest = createContentDigest(10);
  expect(digest.end()).toHaveLength(0);
  expect(digest.of(0)).toBe(sha256(Buffer.alloc(0)));
});
