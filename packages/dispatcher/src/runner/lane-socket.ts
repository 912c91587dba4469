import { Socket, type SocketConstructorOpts } from 'node:net';

/** One read of a lane. A worker's frames have up to 64 KiB of a body; a few of them come together. */
const READ_BYTES = 256 * 1024;

/** A lane's connection, and what is read of it. */
export type LaneSocket = {
  readonly socket: Socket;
  /** Begins to read. A chunk is valid only during the call: the next read, of whichever lane, goes to the same memory. */
  start: (take: (chunk: Buffer) => void) => void;
};

/** Makes connections lanes, all of which are read into the same memory: one read is over before the next one begins. */
export type LaneSockets = (accepted: Socket) => LaneSocket;

/**
 * Read as Node does by itself, each read has memory of its own: of an answer that streams for long, tens of megabytes lie about until V8 finds that there is enough to collect.
 *
 * Node reads into memory that it is given (`onread`, https://nodejs.org/api/net.html#new-netsocketoptions) only where a socket is made, and sockets that a server has
 * accepted are made already. So the accepted one hands its handle over to a new one, which is what `net.Server` itself
 * does with what it has from the kernel: `handle` is documented for a `BoundSocket` alone.
 */
export function createLaneSockets(): LaneSockets {
  const memory = Buffer.allocUnsafeSlow(READ_BYTES);
  return (accepted) => {
    let take: ((chunk: Buffer) => void) | undefined;
    // oxlint-disable no-underscore-dangle -- Node's own name
    const holder = accepted as unknown as { _handle: object | null };
    const handle = holder._handle;
    holder._handle = null;
    // oxlint-enable no-underscore-dangle
    accepted.destroy();
    const options = {
      handle,
      pauseOnCreate: true,
      onread: {
        buffer: memory,
        callback: (bytes: number) => {
          take?.(memory.subarray(0, bytes));
          return true;
        },
      },
    };
    const socket = new Socket(options as unknown as SocketConstructorOpts);
    return {
      socket,
      start: (taker) => {
        take = taker;
        socket.resume();
      },
    };
  };
}
