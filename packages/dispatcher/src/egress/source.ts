import type { Duplex } from 'node:stream';

/**
 * What a relay reads from. It stops by itself when as much as `READ_WINDOW_BYTES` was handed over and not released yet, however fast the other side
 * sends.
 */
export type Source = {
  readonly socket: Duplex;
  /** Begins to read. Chunks that are handed over keep their bytes until they are released. */
  start: (take: (chunk: Buffer) => void) => void;
  /** The oldest of the bytes that were handed over are used up. */
  release: (bytes: number) => void;
};

/** What is read of a connection ahead of who takes it: as much as the credit of a lane's stream, so that neither waits for the other. */
export const READ_WINDOW_BYTES = 256 * 1024;

/** Reads a stream whose chunks are its own, and belong to who gets them. One chunk more than the window may be under way. */
export function sourceOf(socket: Duplex): Source {
  let underWayBytes = 0;
  return {
    socket,
    start: (take) => {
      socket.on('data', (chunk: Buffer) => {
        underWayBytes += chunk.length;
        if (underWayBytes >= READ_WINDOW_BYTES) socket.pause();
        take(chunk);
      });
      socket.resume();
    },
    release: (bytes) => {
      underWayBytes -= bytes;
      if (socket.isPaused() && underWayBytes < READ_WINDOW_BYTES && !socket.destroyed) socket.resume();
    },
  };
}
