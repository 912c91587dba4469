import { connect, type Socket, type TcpNetConnectOpts } from 'node:net';
import { READ_WINDOW_BYTES, type Source } from './source.ts';

/** Most connections bring little: a ring has its whole size only when that was not enough. */
const FIRST_BYTES = 16 * 1024;
/** One read of a socket. The kernel seldom has more at once. */
const READ_BYTES = 64 * 1024;

/** A connection that is being made, with what will be read of it. */
export type RingSource = Source & { readonly socket: Socket };

/**
 * Connects, and reads into a ring of its own that is used over and over. Read as Node does by itself, each read has memory of its own, and of a
 * stream that goes on for long tens of megabytes lie about until a full garbage collection, of which there are many then.
 * Nothing is read before `start`.
 */
export function connectWithRing(options: TcpNetConnectOpts): RingSource {
  let ring = Buffer.allocUnsafeSlow(FIRST_BYTES);
  /** Where the next read goes to. */
  let at = 0;
  let underWayBytes = 0;
  let isFull = false;
  let take: ((chunk: Buffer) => void) | undefined;

  const nextBytes = (): number => Math.min(READ_BYTES, ring.length - at);
  const hasRoom = (): boolean => underWayBytes + nextBytes() <= ring.length;

  const socket = connect({
    ...options,
    onread: {
      buffer: () => ring.subarray(at, at + nextBytes()),
      // Called before `buffer` is, for the read after this one.
      callback: (bytes) => {
        const chunk = ring.subarray(at, at + bytes);
        underWayBytes += bytes;
        at += bytes;
        if (at === ring.length) at = 0;
        take?.(chunk);
        if (ring.length < READ_WINDOW_BYTES && !hasRoom()) {
          // What is in the first ring lives on as long as somebody holds it; it counts as if it were in this one.
          ring = Buffer.allocUnsafeSlow(READ_WINDOW_BYTES);
          at = 0;
        }
        isFull = !hasRoom();
        return !isFull;
      },
    },
  });
  // Read when somebody takes it.
  socket.pause();
  return {
    socket,
    start: (taker) => {
      take = taker;
      socket.resume();
    },
    release: (bytes) => {
      underWayBytes -= bytes;
      if (!isFull || !hasRoom() || socket.destroyed) return;
      isFull = false;
      socket.resume();
    },
  };
}
