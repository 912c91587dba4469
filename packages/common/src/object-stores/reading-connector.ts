import type { Socket } from 'node:net';
import { buildConnector } from 'undici';

/** One read of a socket: each is a way through all layers. */
const READ_BYTES = 512 * 1024;
/** One that is held, the one after it, which is held too, and one that has come meanwhile. */
const READS = 3;

/**
 * Connects, and reads what is long into memory that is used over and over. Read as Node does it by itself, each 64 KiB have memory of their own, and
 * what an artifact leaves behind costs a full garbage collection every other time.
 *
 * What one read has brought is overwritten by the third one after it. After a chunk was passed on one more may be read; what follows is not
 * before whoever has paused for the chunk has resumed, so that a chunk holds until the second one after it is asked for. TLS decrypts into memory of
 * its own: there everything is as Node does it.
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
    // Most connections bring little; one has its whole memory once that was not enough. The first is where the next read goes to.
    let memory = [Buffer.allocUnsafeSlow(maxHeadBytes)];
    const onread = {
      buffer: () => memory[0]!,
      // Called before `buffer` is, for the read after this one.
      callback: (bytes: number) => {
        const chunk = memory[0]!.subarray(0, bytes);
        const isShort = bytes <= maxHeadBytes;
        if (!isShort) memory.push(memory.shift()!);
        else if (bytes === memory[0]!.length)
          memory = Array.from({ length: READS }, () => Buffer.allocUnsafeSlow(READ_BYTES));
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
