/** Keeps everybody from waiting for something that does not answer. */
export type CircuitBreaker = {
  /** For how long nobody should ask, 0 when one may. When the time is over, one caller is let through to try. */
  waitMs: () => number;
  succeeded: () => void;
  failed: () => void;
  /** The caller who was let through has neither found it well nor ill: it gave up. */
  abandoned: () => void;
};

/** How soon a breaker opens, and for how long. */
export type CircuitBreakerSettings = {
  /** Failures in a row that open it. */
  failures: number;
  /** First pause; doubled with every attempt that fails. */
  pauseMs: number;
  maxPauseMs: number;
};

export const BREAKER_DEFAULTS: CircuitBreakerSettings = { failures: 5, pauseMs: 1_000, maxPauseMs: 15_000 };

/** A breaker that is closed. The pause is lengthened by up to a quarter, so that several servers do not ask in step. */
export function createCircuitBreaker(
  settings: CircuitBreakerSettings,
  deps: { nowMs: () => number; random: () => number },
): CircuitBreaker {
  let failuresInRow = 0;
  let openedTimes = 0;
  let openUntilMs: number | undefined;
  let trying = false;

  const open = (): void => {
    const pauseMs = Math.min(settings.pauseMs * 2 ** openedTimes++, settings.maxPauseMs);
    openUntilMs = deps.nowMs() + pauseMs * (1 + deps.random() / 4);
    trying = false;
  };
  return {
    waitMs: () => {
      if (openUntilMs === undefined) return 0;
      const leftMs = openUntilMs - deps.nowMs();
      if (leftMs > 0) return leftMs;
      if (trying) return settings.pauseMs;
      trying = true;
      return 0;
    },
    succeeded: () => {
      failuresInRow = 0;
      openedTimes = 0;
      openUntilMs = undefined;
      trying = false;
    },
    failed: () => {
      failuresInRow++;
      if (openUntilMs !== undefined || failuresInRow >= settings.failures) open();
    },
    abandoned: () => {
      trying = false;
    },
  };
}
