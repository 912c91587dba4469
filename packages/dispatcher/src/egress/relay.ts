import type { Duplex } from 'node:stream';
import type { CloseReason, Connection, ConnectionSink } from './broker.ts';

/** How long a connection may be silent, and how long it may last. */
export type RelayLimits = { idleMs: number; totalMs: number };

/** What a relay tells who has made it. */
export type RelayEvents = {
  /** So many bytes went through, in one direction; `false`: that is too much. */
  passed: (sentBytes: number, receivedBytes: number) => boolean;
  /** It is over. Called once. */
  over: (reason: CloseReason) => void;
};

/** After its user has closed it, what was written has this long to leave. */
const LINGER_MS = 5_000;

/**
 * Relays bytes between a socket and a sink, and parses none. What the sink cannot take stays in the socket; what the socket cannot take stays with
 * the sink, which is told how much was written.
 */
export function relay(socket: Duplex, sink: ConnectionSink, limits: RelayLimits, events: RelayEvents): Connection {
  let reason: CloseReason = 'ordinary';
  let closed = false;
  let left = false;

  const finish = (why: CloseReason): void => {
    reason = why;
    socket.destroy();
  };
  const total = setTimeout(() => finish('timeout'), limits.totalMs);
  const idle = setTimeout(() => finish('timeout'), limits.idleMs);
  socket.on('data', (chunk: Buffer) => {
    if (left) return;
    idle.refresh();
    if (events.passed(0, chunk.length)) sink.data(chunk);
    else finish('limit');
  });
  socket.on('end', () => {
    if (!left) sink.end();
  });
  socket.on('error', () => {
    if (reason === 'ordinary') reason = 'reset';
  });
  socket.on('close', () => {
    closed = true;
    clearTimeout(total);
    clearTimeout(idle);
    if (!left) sink.closed(reason);
    events.over(reason);
  });
  socket.resume();

  return {
    write: (chunk) => {
      if (closed) return;
      if (!events.passed(chunk.length, 0)) return finish('limit');
      socket.write(chunk, (error) => {
        if (error || left || closed) return;
        idle.refresh();
        sink.written(chunk.length);
      });
    },
    end: () => {
      if (!closed) socket.end();
    },
    pause: () => {
      if (!closed) socket.pause();
    },
    resume: () => {
      if (!closed) socket.resume();
    },
    close: () => {
      if (left) return;
      left = true;
      if (closed) return;
      // What was written still leaves; nothing is read any more.
      socket.end(() => socket.destroy());
      setTimeout(() => socket.destroy(), LINGER_MS).unref();
    },
  };
}
