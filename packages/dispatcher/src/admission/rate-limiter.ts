import { LRUCache } from 'lru-cache';
import { ownText } from '@playa/common/own-text';

/** Bounds how often something may happen for each of many keys. */
export type RateLimiter = {
  /** Takes one; returns 0, or the seconds after which the next may be had, rounded up. */
  take: (key: string, perSecond: number) => number;
};

type Bucket = { tokens: number; filledAtMs: number };

/** As many seconds of the rate may come at once. */
const BURST_SECONDS = 2;

/**
 * Token buckets (https://en.wikipedia.org/wiki/Token_bucket), of which the `maxKeys` used last are remembered: a forgotten one is a full one.
 */
export function createRateLimiter(deps: { maxKeys: number; nowMs: () => number }): RateLimiter {
  const buckets = new LRUCache<string, Bucket>({ max: deps.maxKeys });
  return {
    take: (key, perSecond) => {
      const now = deps.nowMs();
      const size = Math.max(1, perSecond * BURST_SECONDS);
      let bucket = buckets.get(key);
      if (bucket === undefined) {
        bucket = { tokens: size, filledAtMs: now };
        // It may be a part of a header, or of a URL.
        buckets.set(ownText(key), bucket);
      }
      bucket.tokens = Math.min(size, bucket.tokens + ((now - bucket.filledAtMs) / 1000) * perSecond);
      bucket.filledAtMs = now;
      if (bucket.tokens >= 1) {
        bucket.tokens -= 1;
        return 0;
      }
      return Math.ceil((1 - bucket.tokens) / perSecond);
    },
  };
}
