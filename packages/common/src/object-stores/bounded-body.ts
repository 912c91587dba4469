import type { Readable } from 'node:stream';
import { ObjectStoreError } from '../object-store-error.ts';

/**
 * Reads a body that should be small.
 * @throws {ObjectStoreError} `unavailable` when it is larger or breaks off
 */
export async function readBoundedText(body: Readable, maxBytes: number, what: string): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
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
