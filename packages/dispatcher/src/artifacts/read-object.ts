import { Readable } from 'node:stream';
import type { ObjectBody, ObjectContent, ObjectStore } from '@playa/common/object-store';
import type { IncomingObject } from './incoming-object.ts';

/** An object that was there; `body` must be consumed or destroyed. */
export type OpenObject = ObjectContent;

/** Reads a body into memory, no more than a chunk beyond `maxBytes` of it, and destroys it. */
export async function readBody(body: ObjectBody, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body) {
      // It may be lent.
      chunks.push(Buffer.from(chunk));
      bytes += chunk.length;
      if (bytes > maxBytes) break;
    }
  } finally {
    body.destroy();
  }
  return Buffer.concat(chunks);
}

/** Bytes as a body. */
export function bodyOf(bytes: Buffer): ObjectBody {
  return Readable.from(bytes.length === 0 ? [] : [bytes]);
}

/** An object as the disk store takes it: its end can be read apart from the rest, of the very same content. */
export function asIncoming(bucket: ObjectStore, key: string, { etag, bytes, body }: OpenObject): IncomingObject {
  return {
    bytes,
    body,
    readTail: async (wanted) => {
      const tail = await bucket.get(key, { range: { first: bytes - wanted } });
      if (tail === undefined || tail === 'not_modified') return undefined;
      if (tail.etag !== etag) {
        tail.body.destroy();
        return undefined;
      }
      return readBody(tail.body, wanted);
    },
  };
}
