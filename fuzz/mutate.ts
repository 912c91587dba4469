/** A small generator of numbers in [0, 2³²), the same ones for the same seed (xorshift32, https://www.jstatsoft.org/v08/i14/). */
export type Random = { below: (limit: number) => number };

/** @param seed not zero */
export function createRandom(seed: number): Random {
  let state = seed >>> 0 || 1;
  return {
    below: (limit) => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      state >>>= 0;
      return state % limit;
    },
  };
}

const MAX_BYTES = 64 * 1024;
const MAX_CHANGES = 6;
/** Values at which lengths, signs and classes of characters change. */
const INTERESTING = [0, 1, 9, 10, 13, 32, 34, 46, 47, 58, 91, 92, 127, 128, 192, 239, 254, 255];

/** A changed copy: bytes are changed, removed, doubled, or taken from another input; numbers inside take interesting values. */
export function mutate(input: Buffer, other: Buffer, random: Random): Buffer {
  let bytes = Buffer.from(input);
  for (let change = 0; change <= random.below(MAX_CHANGES); change++) bytes = changeOnce(bytes, other, random);
  return bytes.subarray(0, MAX_BYTES);
}

function changeOnce(bytes: Buffer<ArrayBuffer>, other: Buffer, random: Random): Buffer<ArrayBuffer> {
  const at = random.below(bytes.length + 1);
  const length = 1 + random.below(16);
  switch (random.below(8)) {
    case 0:
      return insert(bytes, at, Buffer.from([random.below(256)]));
    case 1:
      return insert(bytes, at, Buffer.from([INTERESTING[random.below(INTERESTING.length)]!]));
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 3:
      return insert(bytes, at, bytes.subarray(at, at + length));
    case 4: {
      const from = random.below(other.length + 1);
      return insert(bytes, at, other.subarray(from, from + length * 4));
    }
    case 5:
      return Buffer.concat([bytes.subarray(0, at), other.subarray(random.below(other.length + 1))]);
    default: {
      if (at < bytes.length) {
        const bit = 1 << random.below(8);
        bytes[at] = random.below(2) === 0 ? bytes[at]! ^ bit : INTERESTING[random.below(INTERESTING.length)]!;
      }
      return bytes;
    }
  }
}

function insert(bytes: Buffer, at: number, more: Buffer): Buffer<ArrayBuffer> {
  return Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)]);
}
