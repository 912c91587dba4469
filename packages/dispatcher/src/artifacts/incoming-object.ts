import type { ObjectBody } from '@playa/common/object-store';

/** An object on its way into the disk tier. */
export type IncomingObject = {
  /** The length that was announced. The body fails where it ends before or goes on after it. */
  bytes: number;
  body: ObjectBody;
  /** Reads the last `bytes` of the same content by a request of its own; `undefined` when the object was replaced meanwhile. */
  readTail: (bytes: number) => Promise<Buffer | undefined>;
};

/** The object was replaced while it was read: what was read of it is not to be used, and it can be read again. */
export class ObjectChangedError extends Error {
  override readonly name = 'ObjectChangedError';
}

/** Reads chunks, of which the first can be looked at before. */
export type PeekableChunks = AsyncIterable<Buffer> & {
  /** The first bytes, at least `bytes` of them where the content is that long. Only before it is iterated. */
  peek: (bytes: number) => Promise<Buffer>;
};

/** Makes the beginning of a body readable twice. */
export function peekable(body: AsyncIterable<Buffer>): PeekableChunks {
  const iterator = body[Symbol.asyncIterator]();
  let held: Buffer = Buffer.alloc(0);
  let ended = false;
  return {
    peek: async (bytes) => {
      while (held.length < bytes && !ended) {
        // What came may be lent until the next is asked for.
        const before = Buffer.from(held);
        const { value, done } = await iterator.next();
        ended = done === true;
        if (ended) held = before;
        else held = before.length === 0 ? value : Buffer.concat([before, value]);
      }
      return held;
    },
    async *[Symbol.asyncIterator]() {
      if (held.length > 0) yield held;
      held = Buffer.alloc(0);
      while (!ended) {
        const { value, done } = await iterator.next();
        if (done === true) return;
        yield value;
      }
    },
  };
}
