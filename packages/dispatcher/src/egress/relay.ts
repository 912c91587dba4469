import type { CloseReason, Connection, ConnectionSink } from './broker.ts';
import type { Source } from './source.ts';

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
 * Relays bytes between a socket and a sink, and parses none. What the sink has not released stays in the source, which then reads no more; what the
 * socket cannot take stays with the sink, which is told how much was written.
 */
export function relay(source: Source, sink: ConnectionSink, limits: RelayLimits, events: RelayEvents): Connection {
  const { socket } = source;
  let reason: CloseReason = 'ordinary';
  let closed = false;
  let left = false;

  const finish = (why: CloseReason): void => {
    reason = why;
    socket.destroy();
  };
  const total = setTimeout(() => finish('timeout'), limits.totalMs);
  const idle = setTimeout(() => finish('timeout'), limits.idleMs);
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
  source.start((chunk) => {
    // Nobody wants it any more, and it is not to stop the source from seeing the end.
    if (left) return source.release(chunk.length);
    idle.refresh();
    if (events.passed(0, chunk.length)) sink.data(chunk);
    else finish('limit');
  });

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
    release: (bytes) => {
      if (!closed && !left) source.release(bytes);
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
