import type { Invocation } from '../lifecycle/invocation.ts';
import { InvocationError } from '../outcome/invocation-error.ts';
import { LIMITS } from '../policy/limits.ts';
import { clientKey, type ClientAddress } from './client-address.ts';
import type { RateLimiter } from './rate-limiter.ts';

/** Decides which requests come in, so that no caller and no function takes more than its share. */
export type Admission = {
  /**
   * Lets a routed request in, or not.
   * @throws {InvocationError} `rate_limited` (reason `client`), `queue_full` (reason `server`).
   */
  enter: (invocation: Invocation) => void;
  /**
   * The same for what the function's own policy bounds.
   * @throws {InvocationError} `rate_limited` (reason `function`).
   */
  checkFunction: (invocation: Invocation) => void;
  /** A request that came in is over. */
  leave: (invocation: Invocation) => void;
};

/** @param maxInFlight requests that are under way at once, running or waiting */
export function createAdmission(deps: {
  maxInFlight: number;
  /** Requests of one client in a second; 0 is no bound. */
  clientRequestsPerSecond: number;
  clientAddress: ClientAddress;
  clients: RateLimiter;
  functions: RateLimiter;
}): Admission {
  const inFlight = new Map<string, number>();
  let total = 0;

  const checkClient = (invocation: Invocation): void => {
    const rate = deps.clientRequestsPerSecond;
    // A function that calls another is no client; its own client was counted.
    if (rate === 0 || invocation.caller !== undefined) return;
    const waitS = deps.clients.take(clientKey(deps.clientAddress(invocation.request)), rate);
    if (waitS === 0) return;
    const detail = `More than ${rate} requests a second came from this address.`;
    throw new InvocationError('rate_limited', detail, { reason: 'client', retryAfterS: waitS });
  };

  return {
    enter: (invocation) => {
      checkClient(invocation);
      const name = invocation.functionName!;
      const own = inFlight.get(name) ?? 0;
      // When the house is full, only functions below their share of it are let in, so that one that floods cannot lock out the others.
      if (total >= deps.maxInFlight && own >= deps.maxInFlight / Math.max(1, inFlight.size)) {
        const detail = `The server has ${deps.maxInFlight} requests under way, and this function its share of them.`;
        throw new InvocationError('queue_full', detail, { reason: 'server', retryAfterS: 1 });
      }
      inFlight.set(name, own + 1);
      total++;
      invocation.admitted = true;
    },
    checkFunction: (invocation) => {
      const rate = invocation.artifact!.policy.limits.requestsPerSecond;
      // The default, which bounds nothing, need not be counted.
      if (rate >= LIMITS.requestsPerSecond.fallback) return;
      const waitS = deps.functions.take(invocation.functionName!, rate);
      if (waitS === 0) return;
      const detail = `More than ${rate} requests a second came for this function.`;
      throw new InvocationError('rate_limited', detail, { reason: 'function', retryAfterS: waitS });
    },
    leave: (invocation) => {
      if (!invocation.admitted) return;
      const name = invocation.functionName!;
      const own = inFlight.get(name)! - 1;
      total--;
      if (own === 0) inFlight.delete(name);
      else inFlight.set(name, own);
    },
  };
}
