import { randomFillSync } from "node:crypto";

/**
 * Makes a source of stream numbers: odd, not zero, unpredictable. A process that was taken over could otherwise leave the beginning of a
 * frame behind that fits the next invocation on its lane.
 */
export function createStreamNumbers(): () => number {
  const numbers = new Uint32Array(1024);
  let next = numbers.length;
  return () => {
    if (next === numbers.length) {
      randomFillSync(numbers);
      next = 0;
    }
    return (numbers[next++]! | 1) >>> 0;
  };
}
