import { connect, type Socket } from 'node:net';

/** A connection on which a test writes what no well-behaved client would. */
export type RawConnection = {
  socket: Socket;
  write: (text: string | Buffer) => void;
  /** What was received so far, bytes as Latin-1. */
  received: () => string;
  /** Resolves when what was received fits; rejects when the connection ends before. */
  waitFor: (pattern: RegExp) => Promise<RegExpExecArray>;
  /** Resolves with all that was received when the server has closed the connection. */
  closed: Promise<string>;
  /** Ends the connection at once, so that the server sees a reset. */
  reset: () => void;
};

/** Connects to a server on 127.0.0.1. */
export async function connectRaw(port: number): Promise<RawConnection> {
  const socket = connect({ host: '127.0.0.1', port });
  let received = '';
  let ended = false;
  const watchers = new Set<() => void>();
  const notify = (): void => {
    for (const watcher of watchers) watcher();
  };
  socket.setEncoding('latin1');
  socket.on('data', (text: string) => {
    received += text;
    notify();
  });
  // A reset is an end like any other; `received` tells what came before it.
  socket.on('error', () => undefined);
  const closed = new Promise<string>((resolve) => {
    socket.on('close', () => {
      ended = true;
      notify();
      resolve(received);
    });
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return {
    socket,
    write: (text) => void socket.write(text),
    received: () => received,
    waitFor: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const match = pattern.exec(received);
          if (match === null && !ended) return;
          watchers.delete(look);
          if (match === null) reject(new Error(`the connection ended without ${pattern}: ${received.slice(0, 2000)}`));
          else resolve(match);
        };
        watchers.add(look);
        look();
      }),
    closed,
    reset: () => socket.resetAndDestroy(),
  };
}
