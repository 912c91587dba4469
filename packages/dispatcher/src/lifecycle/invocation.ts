import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Artifact, Tier } from '../artifacts/artifact.ts';
import type { InternalCall } from '../egress/virtual-hosts.ts';
import type { OutcomeCode } from '../outcome/registry.ts';
import type { EndedWorker } from '../runner/control-messages.ts';
import type { Done } from '../runner/response-frames.ts';

/** One request on its way: what the steps leave for each other, and for the account at the end. */
export type Invocation = {
  requestId: string;
  request: IncomingMessage;
  response: ServerResponse;
  /** The call of another function that it is. */
  caller: InternalCall | undefined;
  functionName: string | undefined;
  artifact: Artifact | undefined;
  /** Where the artifact was found. */
  tier: Tier | undefined;
  /** The artifact was not checked in time against the bucket. */
  stale: boolean;
  /** Milliseconds on the monotonic clock, when each step was done. */
  startedMs: number;
  routedMs: number;
  resolvedMs: number;
  lentMs: number;
  /** How long the runner took to load the artifact, for the first invocation on a runner. */
  loadUs: number | undefined;
  runner: number | undefined;
  /** How it ended as far as is known; `ok` until something else happened. */
  outcome: OutcomeCode;
  reason: string | undefined;
  /** Text for the log: what the caller is not told. */
  detail: string | undefined;
  error: unknown;
  done: Done | undefined;
  endedWorker: EndedWorker | undefined;
  requestBytes: number;
  responseBytes: number;
  /** Sent and received over outgoing connections. */
  egressBytes: number;
  /** It counts among the requests that are under way. */
  admitted: boolean;
  /** Set when the client went away. */
  clientGone: boolean;
  /**
   * What is to be told then. An object and no function: a closure over the exchange that is kept here makes V8 promote nearly everything of every
   * request to the old generation (`node --trace-gc`), which costs a tenth of the processor.
   */
  underWay: { cancel: () => void } | undefined;
  attempts: number;
};

/** An invocation at its beginning. */
export function createInvocation(
  request: IncomingMessage,
  response: ServerResponse,
  requestId: string,
  nowMs: number,
  caller?: InternalCall,
): Invocation {
  const invocation: Invocation = {
    requestId,
    request,
    response,
    caller,
    functionName: undefined,
    artifact: undefined,
    tier: undefined,
    stale: false,
    startedMs: nowMs,
    routedMs: nowMs,
    resolvedMs: nowMs,
    lentMs: nowMs,
    loadUs: undefined,
    runner: undefined,
    outcome: 'ok',
    reason: undefined,
    detail: undefined,
    error: undefined,
    done: undefined,
    endedWorker: undefined,
    requestBytes: 0,
    responseBytes: 0,
    egressBytes: 0,
    admitted: false,
    clientGone: false,
    underWay: undefined,
    attempts: 0,
  };
  response.on('close', () => {
    if (response.writableFinished) return;
    invocation.clientGone = true;
    invocation.underWay?.cancel();
  });
  return invocation;
}
