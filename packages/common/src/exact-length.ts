import { pipeline, Transform, type Readable } from 'node:stream';
import type { ObjectBody } from './object-store.ts';
import { ObjectStoreError } from './object-store-error.ts';

/**
 * Passes a stream on and fails where it ends before `bytes` or goes on after them, so that a body that was cut off is never taken
 * for a whole one. Destroying either end destroys both; errors of the source become `unavailable`,
 * but for the reason of a signal that has spoken.
 */
export function withExactLength(
  source: Readable,
  bytes: number,
  what: string,
  signal?: AbortSignal | undefined,
): ObjectBody {
  let seen = 0;
  const checked = new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      seen += chunk.length;
      if (seen > bytes)
        done(new ObjectStoreError('unavailable', `${what} is longer than the ${bytes} bytes announced`));
      else done(null, chunk);
    },
    flush: (done) => {
      if (seen === bytes) done();
      else done(new ObjectStoreError('unavailable', `${what} ended after ${seen} of ${bytes} bytes`));
    },
    destroy: (error, done) => {
      if (error !== null && signal?.aborted) return done(signal.reason as Error);
      if (error === null || error instanceof ObjectStoreError) return done(error);
      const message = `${what} broke off after ${seen} of ${bytes} bytes`;
      done(new ObjectStoreError('unavailable', message, { cause: error }));
    },
  });
  // The error reaches whoever reads `checked`.
  pipeline(source, checked, () => {});
  return checked;
}
