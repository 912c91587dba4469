import type { Logger } from "pino";
import type { Invocation } from "../lifecycle/invocation.ts";
import { OUTCOMES } from "../outcome/registry.ts";

/** Writes one line for each invocation: what it was, how it ended, what it took and what it used. */
export function createAccessLog(log: Logger, isolation: string, nowMs: () => number): (invocation: Invocation) => void {
  return (invocation) => {
    const { done, endedWorker, request, response } = invocation;
    const line = {
      reqId: invocation.requestId,
      function: invocation.functionName,
      method: request.method,
      status: response.headersSent ? response.statusCode : undefined,
      outcome: invocation.outcome,
      reason: invocation.reason,
      detail: invocation.detail,
      isolation,
      runner: invocation.runner,
      worker: done?.worker ?? endedWorker?.worker,
      attempts: invocation.attempts > 1 ? invocation.attempts : undefined,
      durationMs: round(nowMs() - invocation.startedMs),
      artifactMs: round(invocation.resolvedMs - invocation.routedMs),
      poolMs: round(Math.max(0, invocation.lentMs - invocation.resolvedMs)),
      loadUs: invocation.loadUs,
      guestUs: done?.wallUs,
      guestCpuUs: done?.guestCpuUs,
      fuel: done?.fuel,
      memoryBytes: done?.peakMemoryBytes,
      workerCpuUs: endedWorker?.cpuUs,
      workerMaxRssKb: endedWorker?.maxRssKb,
      workerSignal: endedWorker?.signal || undefined,
      requestBytes: invocation.requestBytes,
      responseBytes: invocation.responseBytes,
      err: invocation.error,
    };
    // Only the platform's own failures are errors of the platform.
    if (OUTCOMES[invocation.outcome].blame === "platform") log.error(line, "invocation");
    else log.info(line, "invocation");
  };
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
