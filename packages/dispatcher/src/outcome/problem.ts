import type { InvocationError } from './invocation-error.ts';
import { OUTCOMES } from './registry.ts';

/** The body of a failure (RFC 9457). */
export type Problem = {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  reason?: string;
  requestId: string;
};

/** Describes a failure to the caller: the code, what to do, never a stack or a path. */
export function describeProblem(error: InvocationError, requestId: string): Problem {
  const outcome = OUTCOMES[error.code];
  return {
    type: `urn:playa:outcome:${error.code}`,
    title: outcome.title,
    status: outcome.status,
    detail: error.message,
    code: error.code,
    ...(error.reason === undefined ? {} : { reason: error.reason }),
    requestId,
  };
}
