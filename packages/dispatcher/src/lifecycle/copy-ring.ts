/** Memory that is used over and over for copies which are given back in the order in which they were made. */
export type CopyRing = {
  /** A copy, with the number of bytes that `release` gives back for it; `undefined` where there is no room. */
  copy: (chunk: Buffer) => { bytes: Buffer; room: number } | undefined;
  /** Gives back the room of the oldest copy. */
  release: (room: number) => void;
};

/** A ring of `size` bytes. */
export function createCopyRing(size: number): CopyRing {
  const memory = Buffer.allocUnsafeSlow(size);
  let at = 0;
  let used = 0;
  return {
    copy: (chunk) => {
      if (used === 0 || at === size) at = 0;
      // A copy is in one piece: what is left at the end of the memory is skipped, and comes back with it.
      const skipped = size - at < chunk.length ? size - at : 0;
      const room = skipped + chunk.length;
      if (used + room > size) return undefined;
      const start = skipped > 0 ? 0 : at;
      chunk.copy(memory, start);
      at = start + chunk.length;
      used += room;
      return { bytes: memory.subarray(start, at), room };
    },
    release: (room) => {
      used -= room;
    },
  };
}
