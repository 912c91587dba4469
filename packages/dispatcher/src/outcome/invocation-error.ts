import type { OutcomeCode } from './registry.ts';

/** Why an invocation ended otherwise than `ok`. `detail` goes to the caller, `reason` names the variant of a code, `cause` stays in the log. */
export class InvocationError extends Error {
  override name = 'InvocationError';
  readonly code: OutcomeCode;
  readonly reason: string | undefined;
  /** Seconds that the caller should wait before it tries again. */
  readonly retryAfterS: number | undefined;

  constructor(
    code: OutcomeCode,
    detail: string,
    more: { reason?: string | undefined; cause?: unknown; retryAfterS?: number } = {},
  ) {
    super(detail, more.cause === undefined ? undefined : { cause: more.cause });
    this.code = code;
    this.reason = more.reason;
    this.retryAfterS = more.retryAfterS;
  }
}
