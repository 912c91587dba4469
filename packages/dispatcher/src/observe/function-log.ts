import type { Logger } from 'pino';
import type { Invocation } from '../lifecycle/invocation.ts';

/** Writes what a function wrote to stdout or stderr as log lines of their own. Bounded by the worker (`logBytes`). */
export function createFunctionLog(
  log: Logger,
): (invocation: Invocation, source: 'stdout' | 'stderr', bytes: Buffer) => void {
  return (invocation, source, bytes) => {
    const text = bytes.toString('utf8').replace(/\n$/, '');
    // An engine may write a line and its break apart.
    if (text === '') return;
    log.info({ reqId: invocation.requestId, function: invocation.functionName, source, text }, 'function log');
  };
}
