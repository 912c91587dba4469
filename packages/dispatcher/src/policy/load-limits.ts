import type { LoadLimits } from '../runner/control-messages.ts';
import type { Limits } from './limits.ts';

/** @returns the limits that a runner enforces, as LOAD names them */
export function loadLimits(limits: Limits): LoadLimits {
  return {
    fuel: limits.fuel,
    cpuMs: limits.cpuMs,
    wallMs: limits.wallMs,
    memoryBytes: limits.memoryBytes,
    instances: limits.maxInstances,
    memories: limits.maxMemories,
    tables: limits.maxTables,
    tableElements: limits.maxTableElements,
    resources: limits.maxResources,
    hostcallBytes: limits.hostcallBytes,
    randomBytes: limits.randomBytes,
    responseHeaderBytes: limits.maxResponseHeaderBytes,
    logBytes: limits.logBytes,
    logLines: limits.logLines,
  };
}
