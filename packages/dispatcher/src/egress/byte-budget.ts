import { LRUCache } from 'lru-cache';

/** Bounds what each function sends and receives in a minute. */
export type ByteBudget = {
  /** Takes bytes that have passed; `false`: that was too much. What is too much is owed. */
  spend: (functionName: string, bytes: number, perMinute: number) => boolean;
  /** Whether anything is left to spend. */
  isLeft: (functionName: string, perMinute: number) => boolean;
};

type Bucket = { bytes: number; filledAtMs: number };

const MINUTE_MS = 60_000;

/**
 * Token buckets (https://en.wikipedia.org/wiki/Token_bucket) that hold a minute's worth and fill all the time. The `maxFunctions` used last are
 * remembered: a forgotten one is a full one.
 */
export function createByteBudget(deps: { maxFunctions: number; nowMs: () => number }): ByteBudget {
  const buckets = new LRUCache<string, Bucket>({ max: deps.maxFunctions });

  const fill = (functionName: string, perMinute: number): Bucket => {
    const now = deps.nowMs();
    let bucket = buckets.get(functionName);
    if (bucket === undefined) {
      bucket = { bytes: perMinute, filledAtMs: now };
      buckets.set(functionName, bucket);
    }
    bucket.bytes = Math.min(perMinute, bucket.bytes + ((now - bucket.filledAtMs) / MINUTE_MS) * perMinute);
    bucket.filledAtMs = now;
    return bucket;
  };

  return {
    spend: (functionName, bytes, perMinute) => {
      const bucket = fill(functionName, perMinute);
      bucket.bytes -= bytes;
      return bucket.bytes >= 0;
    },
    isLeft: (functionName, perMinute) => fill(functionName, perMinute).bytes >= 1,
  };
}
