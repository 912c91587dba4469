import { stdSerializers } from "pino";
import type { Invocation } from "../lifecycle/invocation.ts";
import { OUTCOMES } from "../outcome/registry.ts";
import type { OpenLogger } from "./logger.ts";

/**
 * Writes one line for each invocation: what it was, how it ended, what it took and what it used.
 *
 * The line is made by one call of `JSON.stringify` and not by the logger, member by member: that was nearly half of all garbage of a request.
 */
export function createAccessLog(
  logger: OpenLogger,
  isolation: string,
  nowMs: () => number,
): (invocation: Invocation) => void {
  const { levels } = logger.log;
  return (invocation) => {
    const { done, endedWorker, request, response } = invocation;
    // Only the platform's own failures are errors of the platform.
    const level = OUTCOMES[invocation.outcome].blame === "platform" ? "error" : "info";
    if (!logger.log.isLevelEnabled(level)) return;
    const line = {
      level: levels.values[level],
      time: new Date().toISOString(),
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
      err: invocation.error === undefined ? undefined : describeError(invocation.error),
      msg: "invocation",
    };
    logger.writeLine(`${JSON.stringify(line)}\n`);
  };
}

function describeError(error: unknown): object {
  return error instanceof Error ? stdSerializers.err(error) : { message: String(error) };
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
