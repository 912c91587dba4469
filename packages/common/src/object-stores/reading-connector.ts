import type { Socket } from 'node:net';
import { buildConnector } from 'undici';

/** One read of a socket: each is a way through all layers. */
const READ_BYTES = 512 * 1024;

/**
 * Connects, and reads what is long into memory that is used over and over. Read as Node does it by itself, each 64 KiB have memory of their own, and
 * what an artifact leaves behind costs a full garbage collection every other time.
 *
 * What one read has brought is overwritten by the second one after it. The first may come as soon as a chunk was passed on; the second does not
 * before whoever has paused for that chunk has resumed. TLS decrypts into memory of its own: there everything is as Node does it.
 *
 * @param maxHeadBytes how long the head of an answer can be. The parser holds pieces of one until it is complete: reads that are no longer are copied
 */
export function createReadingConnector(
  options: buildConnector.BuildOptions,
  maxHeadBytes: number,
): buildConnector.connector {
  const connectSecurely = buildConnector(options);
  return (target, callback) => {
    if (target.protocol === 'https:') return connectSecurely(target, callback);
    let socket: Socket;
    // Most connections bring little; one has its whole memory once that was not enough.
    let next = Buffer.allocUnsafeSlow(maxHeadBytes);
    let other = next;
    const onread = {
      buffer: () => next,
      // Called before `buffer` is, for the read after this one.
      callback: (bytes: number) => {
        const chunk = next.subarray(0, bytes);
        const isShort = bytes <= maxHeadBytes;
        if (!isShort) [next, other] = [other, next];
        else if (bytes === next.length)
          [next, other] = [Buffer.allocUnsafeSlow(READ_BYTES), Buffer.allocUnsafeSlow(READ_BYTES)];
        return socket.push(isShort ? Buffer.from(chunk) : chunk);
      },
    };
    // With so little to be held, each read waits until the one before it was taken.
    const reading = { ...options, onread, highWaterMark: undefined, readableHighWaterMark: 1 };
    buildConnector(reading)(target, (...connected) => {
      if (connected[1] !== null) socket = connected[1];
      callback(...connected);
    });
  };
}
