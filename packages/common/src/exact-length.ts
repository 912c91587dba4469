import type { ObjectBody } from './object-store.ts';
import { ObjectStoreError } from './object-store-error.ts';

/**
 * Passes a body on and fails where it ends before `bytes` or goes on after them, so that one that was cut off is never taken
 * for a whole one. Errors of the source become `unavailable`, but for the reason of a signal that has spoken.
 */
export function withExactLength(
  source: ObjectBody,
  bytes: number,
  what: string,
  signal?: AbortSignal | undefined,
): ObjectBody {
  let seen = 0;
  const checked = async function* (): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of source) {
        seen += chunk.length;
        if (seen > bytes) throw fault(`${what} is longer than the ${bytes} bytes announced`);
        yield chunk;
      }
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (error instanceof ObjectStoreError) throw error;
      throw fault(`${what} broke off after ${seen} of ${bytes} bytes`, error);
    }
    if (seen < bytes) throw fault(`${what} ended after ${seen} of ${bytes} bytes`);
  };
  const content = checked();
  return { [Symbol.asyncIterator]: () => content, destroy: (error) => source.destroy(error) };
}

function fault(message: string, cause?: unknown): ObjectStoreError {
  return new ObjectStoreError('unavailable', message, { cause });
}
