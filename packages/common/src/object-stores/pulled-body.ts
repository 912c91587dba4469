import type { ObjectBody } from '../object-store.ts';

/** Holds back what arrives, or ends it. */
export type Flow = { pause: () => void; resume: () => void; abort: (error: Error) => void };

/** The end of a body at which its content arrives. */
export type PulledBody = {
  /** The end at which it is read, chunk by chunk. */
  body: ObjectBody;
  /** Takes a chunk. */
  give: (chunk: Buffer) => void;
  /** That was all of it. */
  end: () => void;
  /** No more will come. After the end this is nothing. */
  fail: (error: Error) => void;
};

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** A body of what flows in: it flows only while somebody waits for a chunk, so that a chunk is the only one until the next is asked for. */
export function createPulledBody(flow: Flow): PulledBody {
  // Of a connection that has ended all comes at once, paused or not.
  let held: Buffer[] = [];
  let waiting: PromiseWithResolvers<IteratorResult<Buffer, undefined>> | undefined;
  let outcome: { error: Error | undefined } | undefined;

  const settle = (error?: Error): void => {
    if (outcome !== undefined) return;
    outcome = { error };
    if (error === undefined) waiting?.resolve(DONE);
    else waiting?.reject(error);
    waiting = undefined;
  };
  const destroy = (error = new Error('it was given up by its reader')): void => {
    held = [];
    flow.abort(error);
    settle(error);
  };
  const iterator: AsyncIterator<Buffer, undefined> = {
    next: () => {
      const value = held.shift();
      if (value !== undefined) return Promise.resolve({ done: false, value });
      if (outcome !== undefined)
        return outcome.error === undefined ? Promise.resolve(DONE) : Promise.reject(outcome.error);
      const asked = Promise.withResolvers<IteratorResult<Buffer, undefined>>();
      waiting = asked;
      flow.resume();
      return asked.promise;
    },
    return: () => {
      destroy();
      return Promise.resolve(DONE);
    },
  };
  return {
    body: { [Symbol.asyncIterator]: () => iterator, destroy },
    give: (chunk) => {
      // The parser says of nothing too that it has come, each time that it is resumed: pausing for that would never end.
      if (chunk.length === 0) return;
      flow.pause();
      if (waiting === undefined) held.push(chunk);
      else waiting.resolve({ done: false, value: chunk });
      waiting = undefined;
    },
    end: () => settle(),
    fail: settle,
  };
}
