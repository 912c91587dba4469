import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { ObjectSource } from '../object-store.ts';
import { ObjectStoreError } from '../object-store-error.ts';

/** A body whose length is known, and that can be sent more than once. */
export type PreparedBody = Uint8Array | { path: string; bytes: number };

/** SHA-256 of nothing, in hex. */
export const EMPTY_HASH = createHash('sha256').digest('hex');

/**
 * Reads a source once for its digest, which is signed before the first byte is sent.
 * @throws {ObjectStoreError} `invalid` when it cannot be read
 */
export async function prepareBody(source: ObjectSource): Promise<{ body: PreparedBody; payloadHash: string }> {
  const hash = createHash('sha256');
  if (source instanceof Uint8Array) return { body: source, payloadHash: hash.update(source).digest('hex') };
  const { path } = source;
  try {
    const { size: bytes } = await stat(path);
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
    return { body: { path, bytes }, payloadHash: hash.digest('hex') };
  } catch (error) {
    throw new ObjectStoreError('invalid', `${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
