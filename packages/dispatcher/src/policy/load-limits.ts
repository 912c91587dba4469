import type { LoadMessage } from '../runner/control-messages.ts';
import type { Limits } from './limits.ts';

/** @returns the limits that a runner enforces, as LOAD names them */
export function loadLimits(
  limits: Limits,
): Pick<LoadMessage, 'fuel' | 'wallMs' | 'memoryBytes' | 'responseHeaderBytes' | 'logBytes'> {
  return {
    fuel: limits.fuel,
    wallMs: limits.wallMs,
    memoryBytes: limits.memoryBytes,
    responseHeaderBytes: limits.maxResponseHeaderBytes,
    logBytes: limits.logBytes,
  };
}
