import type { ObjectBody } from '../object-store.ts';
import { ObjectStoreError } from '../object-store-error.ts';

/**
 * Reads a body that should be small.
 * @throws {ObjectStoreError} `unavailable` when it is larger or breaks off
 */
export async function readBoundedText(body: ObjectBody, maxBytes: number, what: string): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw new ObjectStoreError('unavailable', `${what} has more than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof ObjectStoreError) throw error;
    throw new ObjectStoreError('unavailable', `${what} broke off: ${(error as Error).message}`, { cause: error });
  }
  return Buffer.concat(chunks).toString();
}

/** Reads a body of which nothing is wanted, so that its connection can be used again. */
export function discardBody(body: ObjectBody): void {
  const discard = async (): Promise<void> => {
    for await (const _ of body);
  };
  // The answer was had: how its body ends changes nothing.
  discard().catch(() => undefined);
}
