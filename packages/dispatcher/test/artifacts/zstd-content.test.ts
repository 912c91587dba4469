import { constants, zstdCompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { isZstd, MAX_ZSTD_HEAD_BYTES, zstdContentBytes } from '../../src/artifacts/zstd-content.ts';

/** One length for each form that the header has for it, and those beside them. */
const LENGTHS = [0, 1, 255, 256, 257, 65_535, 65_536, 65_791, 65_792, 3_000_000];

test.each(LENGTHS)('the length of %d bytes is read from the head of a frame', (bytes) => {
  const compressed = zstdCompressSync(Buffer.alloc(bytes, 'x'));
  const head = compressed.subarray(0, MAX_ZSTD_HEAD_BYTES);
  expect(isZstd(head)).toBe(true);
  expect(zstdContentBytes(head)).toBe(bytes);
});

test.each(LENGTHS)('of %d bytes whose frame does not say it, it is not known', (bytes) => {
  const params = { [constants.ZSTD_c_contentSizeFlag]: 0 };
  expect(zstdContentBytes(zstdCompressSync(Buffer.alloc(bytes, 'x'), { params }))).toBeUndefined();
});

test('a head with a window, a dictionary and eight bytes of length', () => {
  const head = Buffer.from('28b52ffdc358010203040000000001000000', 'hex');
  expect(zstdContentBytes(head)).toBe(2 ** 32);
});

test('a head that is cut off says nothing', () => {
  const head = zstdCompressSync(Buffer.alloc(3_000_000)).subarray(0, MAX_ZSTD_HEAD_BYTES);
  for (let bytes = 0; bytes < 9; bytes++) expect(zstdContentBytes(head.subarray(0, bytes))).toBeUndefined();
});
