import { stdSerializers } from 'pino';
import { readTraceContext, traceIdOf } from '../egress/trace-context.ts';
import type { Invocation } from '../lifecycle/invocation.ts';
import { OUTCOMES } from '../outcome/registry.ts';
import type { OpenLogger } from './logger.ts';

/**
 * Writes one line for each invocation: what it was, how it ended, what it took and what it used (docs/lifecycle.md lists the members). Times are whole microseconds.
 *
 * The line is put together by hand, in the logger's form: done member by member by the logger it was nearly half of all garbage of a
 * request, and printing fractions was a good part of the rest.
 */
export function createAccessLog(logger: OpenLogger, nowMs: () => number): (invocation: Invocation) => void {
  const { values } = logger.log.levels;
  const time = createTimestamp();
  return (invocation) => {
    // Only the platform's own failures are errors of the platform.
    const level = OUTCOMES[invocation.outcome].blame === 'platform' ? 'error' : 'info';
    if (!logger.log.isLevelEnabled(level)) return;
    const { done, request, response } = invocation;
    let line = `{"level":${values[level]},"time":"${time()}","reqId":"${invocation.requestId}","method":"${request.method}"`;
    if (invocation.functionName !== undefined) line += `,"function":${JSON.stringify(invocation.functionName)}`;
    if (response.headersSent) line += `,"status":${response.statusCode}`;
    line += `,"outcome":"${invocation.outcome}"`;
    if (invocation.artifact !== undefined) {
      line += `,"isolation":"${invocation.artifact.policy.isolation}","tier":"${invocation.tier}"`;
    }
    line += `,"durationUs":${micros(nowMs() - invocation.startedMs)},"artifactUs":${micros(invocation.resolvedMs - invocation.routedMs)}`;
    line += `,"poolUs":${micros(invocation.lentMs - invocation.resolvedMs)}`;
    if (invocation.runner !== undefined) line += `,"runner":${invocation.runner}`;
    if (done !== undefined) {
      line += `,"worker":${done.worker},"guestUs":${done.wallUs},"guestCpuUs":${done.guestCpuUs},"fuel":${done.fuel}`;
      line += `,"memoryBytes":${done.peakMemoryBytes}`;
    }
    line += `,"requestBytes":${invocation.requestBytes},"responseBytes":${invocation.responseBytes}`;
    logger.writeLine(`${line}${seldom(invocation)},"msg":"invocation"}\n`);
  };
}

/** Members that most lines do not have. */
function seldom(invocation: Invocation): string {
  const { endedWorker, done } = invocation;
  let members = '';
  if (invocation.caller !== undefined) {
    const { callerName, callerRequestId, rootRequestId, depth } = invocation.caller;
    members += `,"caller":${JSON.stringify(callerName)},"callerReqId":"${callerRequestId}"`;
    members += `,"rootReqId":"${rootRequestId}","depth":${depth}`;
  }
  const trace = readTraceContext(invocation.request.headers);
  if (trace !== undefined) members += `,"traceId":"${traceIdOf(trace)}"`;
  if (invocation.stale) members += ',"stale":true';
  if (invocation.loadUs !== undefined) members += `,"loadUs":${invocation.loadUs}`;
  if (invocation.attempts > 1) members += `,"attempts":${invocation.attempts}`;
  if (endedWorker !== undefined) {
    if (done === undefined) members += `,"worker":${endedWorker.worker}`;
    members += `,"workerCpuUs":${endedWorker.cpuUs},"workerMaxRssKb":${endedWorker.maxRssKb}`;
    if (endedWorker.signal !== 0) members += `,"workerSignal":${endedWorker.signal}`;
  }
  if (invocation.reason !== undefined) members += `,"reason":${JSON.stringify(invocation.reason)}`;
  if (invocation.detail !== undefined) members += `,"detail":${JSON.stringify(invocation.detail)}`;
  if (invocation.error !== undefined) members += `,"err":${JSON.stringify(describeError(invocation.error))}`;
  return members;
}

function describeError(error: unknown): object {
  return error instanceof Error ? stdSerializers.err(error) : { message: String(error) };
}

function micros(ms: number): number {
  return Math.max(0, Math.round(ms * 1000));
}

/** The present time in ISO 8601, formatted once a millisecond. */
function createTimestamp(): () => string {
  let lastMs = 0;
  let text = '';
  return () => {
    const now = Date.now();
    if (now !== lastMs) {
      lastMs = now;
      text = new Date(now).toISOString();
    }
    return text;
  };
}
