import type { Caller } from './broker.ts';
import type { TraceContext } from './trace-context.ts';

/** What is known of an invocation when it asks for its first connection. */
export type CallOrigin = {
  requestId: string;
  /** The request of a client that has led to it; its own where that is it. */
  rootRequestId: string;
  /** How many calls of functions by functions have led to it. */
  depth: number;
  /** The trace that its request belongs to. */
  traceContext: TraceContext | undefined;
  /** Writes a line of the platform's own to the function's log. */
  note: (text: string) => void;
};

/** An invocation that has reached nothing yet. */
export function createCaller(origin: CallOrigin): Caller {
  return { origin, warnings: 0, dials: 0, open: 0, bytes: 0, names: new Map() };
}

/** An address as the key of `Caller.names`. */
export function addressKey(address: { family: number; value: bigint }): string {
  return `${address.family}:${address.value.toString(16)}`;
}
