import { randomFillSync } from 'node:crypto';

/** Invocations that a lane can have open at once. */
export const MAX_SLOTS = 1024;

/** Makes the number of a stream that is kept in a slot of its lane. */
export type StreamNumbers = (slot: number) => number;

/**
 * Makes a source of stream numbers: odd, not zero, and unpredictable in their upper 21 bits. A process that was taken over could otherwise leave the
 * beginning of a frame behind that fits the next invocation on its lane.
 */
export function createStreamNumbers(): StreamNumbers {
  const numbers = new Uint32Array(1024);
  let next = numbers.length;
  return (slot) => {
    if (next === numbers.length) {
      randomFillSync(numbers);
      next = 0;
    }
    return ((numbers[next++]! & ~(MAX_SLOTS * 2 - 1)) | (slot * 2 + 1)) >>> 0;
  };
}

/** The slot that a stream's number names. */
export function slotOf(number: number): number {
  return (number >>> 1) & (MAX_SLOTS - 1);
}
