import { createHash } from 'node:crypto';

/** Takes the digest of content as it passes by, where it is its end that says how much of it counts. */
export type ContentDigest = {
  /** The chunk must stay as it is. */
  update: (chunk: Buffer) => void;
  /** So many bytes have passed. */
  bytes: () => number;
  /** The last of them, at least as many as are held back where there were so many. */
  end: () => Buffer;
  /** SHA-256 as hex of the first `bytes`, which end within what `end` has. Once only. @throws {RangeError} when they do not */
  of: (bytes: number) => string;
};

/** @param heldBytes so much of the end is held back, in memory */
export function createContentDigest(heldBytes: number): ContentDigest {
  const hash = createHash('sha256');
  const held: Buffer[] = [];
  let endBytes = 0;
  let bytes = 0;
  const end = (): Buffer => Buffer.concat(held, endBytes);
  return {
    update: (chunk) => {
      held.push(chunk);
      endBytes += chunk.length;
      bytes += chunk.length;
      while (endBytes - held[0]!.length >= heldBytes) {
        endBytes -= held[0]!.length;
        hash.update(held.shift()!);
      }
    },
    bytes: () => bytes,
    end,
    of: (counted) => {
      const rest = counted - (bytes - endBytes);
      if (rest < 0 || rest > endBytes) throw new RangeError(`a digest of ${counted} of ${bytes} bytes cannot be had`);
      return hash.update(end().subarray(0, rest)).digest('hex');
    },
  };
}
