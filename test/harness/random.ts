/** Numbers that look random and are the same for the same seed (mulberry32). */
export type SeededRandom = {
  /** A whole number from 0 up to, but not, `bound`. */
  below: (bound: number) => number;
  /** One of them. */
  pick: <T>(values: readonly T[]) => T;
};

export function createRandom(seed: number): SeededRandom {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const below = (bound: number): number => next() % bound;
  return { below, pick: (values) => values[below(values.length)]! };
}
