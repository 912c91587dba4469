/** Something that expires and is got anew. */
export type Renewing<T> = {
  /** What is good now. Many who ask at once cause one fetch; a signal ends one caller's waiting, not the fetch. */
  get: (signal?: AbortSignal) => Promise<T>;
  /** Whoever was to accept it has refused it: the next `get` fetches another, unless that has happened already. */
  renew: (used: T) => void;
};

/** A fetch that hangs would hold everybody up for ever. */
const FETCH_LIMIT_MS = 30_000;
/** Replaced this long before the end, and up to as much earlier again, so that a fleet does not ask in step. */
const LEAD_MS = 5 * 60 * 1000;
const JITTER_MS = 60 * 1000;
/** After a fetch in advance has failed, it is not tried at every call. */
const RETRY_MS = 10_000;
/** What ends sooner than this is not used: it could end on the way. */
const MARGIN_MS = 5_000;

/**
 * Keeps what `fetch` gives until shortly before its end. While the old one is good, it is given without waiting and a failed fetch
 * is nobody's failure.
 */
export function createRenewing<T extends { readonly expiresAtMs?: number }>(
  fetch: (signal: AbortSignal) => Promise<T>,
  deps: { timeMs: () => number; random: () => number },
): Renewing<T> {
  let current: T | undefined;
  let renewAtMs = Infinity;
  let fetching: Promise<T> | undefined;

  const renewNow = (): Promise<T> => {
    fetching ??= fetch(AbortSignal.timeout(FETCH_LIMIT_MS))
      .then((fresh) => {
        current = fresh;
        renewAtMs = renewalTime(fresh, deps.timeMs(), deps.random);
        return fresh;
      })
      .catch((error: unknown) => {
        renewAtMs = deps.timeMs() + RETRY_MS;
        throw error;
      })
      .finally(() => {
        fetching = undefined;
      });
    return fetching;
  };

  return {
    get: async (signal) => {
      signal?.throwIfAborted();
      const nowMs = deps.timeMs();
      if (current === undefined || nowMs > (current.expiresAtMs ?? Infinity) - MARGIN_MS) {
        return raceSignal(renewNow(), signal);
      }
      // The old one is still good: nobody waits, and a failure is seen when it no longer is.
      if (nowMs >= renewAtMs) renewNow().catch(() => {});
      return current;
    },
    renew: (used) => {
      if (used === current) current = undefined;
    },
  };
}

function renewalTime(fresh: { readonly expiresAtMs?: number }, nowMs: number, random: () => number): number {
  if (fresh.expiresAtMs === undefined) return Infinity;
  const leadMs = Math.min(LEAD_MS + random() * JITTER_MS, (fresh.expiresAtMs - nowMs) / 2);
  return fresh.expiresAtMs - leadMs;
}

function raceSignal<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
