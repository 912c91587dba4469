/** How often and how soon something is tried again. */
export type RetrySettings = {
  /** Attempts altogether. */
  attempts: number;
  /** The first pause is up to this long, each further one up to twice as long. */
  baseMs: number;
  maxMs: number;
  /** The longest that a server may make us wait; beyond it the caller is told. */
  maxRetryAfterMs: number;
  /** Retries that may be under way in a bad time: a retry takes one, a success gives a tenth back. */
  budget: number;
};

/** Two retries, after at most 100 ms and 200 ms: together with the limits on time, callers wait seconds, not minutes. */
export const RETRY_DEFAULTS: RetrySettings = {
  attempts: 3,
  baseMs: 100,
  maxMs: 2_000,
  maxRetryAfterMs: 2_000,
  budget: 50,
};

/** Decides on retries of one store; the budget is shared by all its callers. */
export type RetryPolicy = {
  /** How long to wait before attempt `attempt + 1`, or undefined when that was the last. */
  pauseMs: (attempt: number, retryAfterMs: number | undefined) => number | undefined;
  succeeded: () => void;
};

/**
 * Full jitter: any pause from 0 to the bound is as likely, so that many who failed together do not come back together.
 * The budget keeps retries from multiplying the load on a store that fails for everybody.
 */
export function createRetryPolicy(settings: RetrySettings, random: () => number): RetryPolicy {
  let budget = settings.budget;
  return {
    pauseMs: (attempt, retryAfterMs = 0) => {
      if (attempt >= settings.attempts || budget < 1 || retryAfterMs > settings.maxRetryAfterMs) return undefined;
      budget--;
      const boundMs = Math.min(settings.baseMs * 2 ** (attempt - 1), settings.maxMs);
      return Math.max(retryAfterMs, random() * boundMs);
    },
    succeeded: () => {
      budget = Math.min(budget + 0.1, settings.budget);
    },
  };
}
