import type { Caller } from './broker.ts';

/** An invocation that has reached nothing yet. `warn` writes to the function's log. */
export function createCaller(requestId: string, depth: number, warn: (text: string) => void): Caller {
  return { requestId, depth, warn, warnings: 0, dials: 0, open: 0, bytes: 0, names: new Map() };
}

/** An address as the key of `Caller.names`. */
export function addressKey(address: { family: number; value: bigint }): string {
  return `${address.family}:${address.value.toString(16)}`;
}
