import { createHash } from 'node:crypto';

/** Takes the digest of content as it passes by, where it is its end that says how much of it counts. */
export type ContentDigest = {
  /** The chunk may be used again when this has returned. */
  update: (chunk: Buffer) => void;
  /** So many bytes have passed. */
  bytes: () => number;
  /** The last of them, at least as many as are held back where there were so many; they hold until the next `update`. */
  end: () => Buffer;
  /** SHA-256 as hex of the first `bytes`, which end within what `end` has. Once only. @throws {RangeError} when they do not */
  of: (bytes: number) => string;
};

/** @param heldBytes so much of the end is held back, in memory */
export function createContentDigest(heldBytes: number): ContentDigest {
  const hash = createHash('sha256');
  // Twice as much as is held back, so that little is moved where chunks are small.
  const held = Buffer.allocUnsafe(2 * heldBytes);
  let endBytes = 0;
  let bytes = 0;

  /** Passes on what need not be held back any more when so many bytes follow. */
  const release = (following: number): void => {
    const released = Math.min(endBytes, Math.max(0, endBytes + following - heldBytes));
    hash.update(held.subarray(0, released));
    held.copyWithin(0, released, endBytes);
    endBytes -= released;
  };

  return {
    update: (chunk) => {
      bytes += chunk.length;
      const passed = Math.max(0, chunk.length - heldBytes);
      if (passed > 0 || endBytes + chunk.length > held.length) release(chunk.length);
      hash.update(chunk.subarray(0, passed));
      endBytes += chunk.copy(held, endBytes, passed);
    },
    bytes: () => bytes,
    end: () => held.subarray(0, endBytes),
    of: (counted) => {
      const rest = counted - (bytes - endBytes);
      if (rest < 0 || rest > endBytes) throw new RangeError(`a digest of ${counted} of ${bytes} bytes cannot be had`);
      return hash.update(held.subarray(0, rest)).digest('hex');
    },
  };
}
