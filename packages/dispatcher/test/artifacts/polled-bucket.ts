import type { ObjectStore } from '@playa/common/object-store';
import { ObjectStoreError } from '@playa/common/object-store-error';

/** A folder as a bucket that cannot be watched, that counts, and that can be stopped. */
export type PolledBucket = ObjectStore & {
  /** Keys of all whole reads since the last call. */
  takeReads: () => string[];
  /** `up`, `down` fails at once, `silent` never answers until it is up again. */
  set: (state: 'up' | 'down' | 'silent') => void;
};

/** Puts a counter and a switch before a store. */
export function makePolled(store: ObjectStore): PolledBucket {
  let reads: string[] = [];
  let state: 'up' | 'down' | 'silent' = 'up';
  let waiting: (() => void)[] = [];
  const { watch: _watch, ...polled } = store;
  return {
    ...polled,
    get: async (key, options) => {
      if (options?.range === undefined) reads.push(key);
      if (state === 'silent') await new Promise<void>((resolve) => waiting.push(resolve));
      if (state === 'down') throw new ObjectStoreError('unavailable', 'connect ECONNREFUSED');
      return store.get(key, options);
    },
    takeReads: () => {
      const taken = reads;
      reads = [];
      return taken;
    },
    set: (next) => {
      state = next;
      if (next !== 'up') return;
      for (const resolve of waiting) resolve();
      waiting = [];
    },
  };
}
