import { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';

/** A prime, so that no power of two hides a block that is sent twice or left out. */
const PERIOD = 251;
const BLOCK = Buffer.from(Uint8Array.from({ length: PERIOD * 256 }, (_, index) => index % PERIOD));

/** The bytes that the probe's /download sends, and tests upload: the one at offset n is n modulo 251. */
export function* patternBlocks(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= BLOCK.length) yield left < BLOCK.length ? BLOCK.subarray(0, left) : BLOCK;
}

/** The pattern as a stream, read no faster than it is wanted. */
export function patternStream(bytes: number): Readable {
  return Readable.from(patternBlocks(bytes), { objectMode: false });
}

/** CRC-32 of so many bytes of the pattern. */
export function patternChecksum(bytes: number): number {
  let sum = 0;
  for (const block of patternBlocks(bytes)) sum = crc32(block, sum);
  return sum;
}

/** Length and CRC-32 of what a stream yields. */
export async function measureStream(stream: Readable): Promise<{ bytes: number; checksum: number }> {
  let bytes = 0;
  let checksum = 0;
  for await (const chunk of stream) {
    bytes += (chunk as Buffer).length;
    checksum = crc32(chunk as Buffer, checksum);
  }
  return { bytes, checksum };
}
