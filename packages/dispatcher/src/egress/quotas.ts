import { keyOf } from '../config/option-names.ts';
import type { Limits } from '../policy/limits.ts';
import type { Caller, EgressPolicy } from './broker.ts';
import type { ByteBudget } from './byte-budget.ts';
import type { Refusal } from './judge.ts';

/** The limits of a function that are kept here. */
export type EgressLimits = Pick<Limits, Extract<keyof Limits, `egress${string}`>>;

/** Counts what functions and their invocations do outside. Each answer is `undefined`, or which limit is exceeded. */
export type Quotas = {
  /** A connection is asked for; where it may be, it takes a place until `release`. */
  connect: (caller: Caller, policy: EgressPolicy) => Refusal | undefined;
  release: (caller: Caller, policy: EgressPolicy) => void;
  /** A look-up is asked for. */
  lookUp: (caller: Caller, policy: EgressPolicy) => Refusal | undefined;
  /** Bytes have passed, in either direction. */
  transfer: (caller: Caller, policy: EgressPolicy, bytes: number) => Refusal | undefined;
};

/** Nobody has anything open yet. */
export function createQuotas(budget: ByteBudget): Quotas {
  const openByFunction = new Map<string, number>();

  const count = (caller: Caller, { functionName }: EgressPolicy, change: 1 | -1): void => {
    caller.open += change;
    const ofFunction = (openByFunction.get(functionName) ?? 0) + change;
    if (ofFunction === 0) openByFunction.delete(functionName);
    else openByFunction.set(functionName, ofFunction);
  };

  return {
    lookUp,
    connect: (caller, policy) => {
      const { functionName, limits } = policy;
      const tooMany = lookUp(caller, policy);
      if (tooMany !== undefined) return tooMany;
      if (caller.open >= limits.egressConnections) {
        return exceeded('too many connections of one invocation at once', 'egressConnections', limits);
      }
      if ((openByFunction.get(functionName) ?? 0) >= limits.egressConnectionsPerFunction) {
        return exceeded('too many connections of the function at once', 'egressConnectionsPerFunction', limits);
      }
      if (!budget.isLeft(functionName, limits.egressBytesPerMinute)) {
        return exceeded('too many bytes of the function in a minute', 'egressBytesPerMinute', limits);
      }
      count(caller, policy, 1);
      return undefined;
    },
    release: (caller, policy) => count(caller, policy, -1),
    transfer: (caller, { functionName, limits }, bytes) => {
      caller.bytes += bytes;
      const isWithin = budget.spend(functionName, bytes, limits.egressBytesPerMinute);
      if (caller.bytes > limits.egressBytes) {
        return exceeded('too many bytes of one invocation', 'egressBytes', limits);
      }
      return isWithin
        ? undefined
        : exceeded('too many bytes of the function in a minute', 'egressBytesPerMinute', limits);
    },
  };
}

function lookUp(caller: Caller, { limits }: EgressPolicy): Refusal | undefined {
  if (++caller.dials <= limits.egressDials) return undefined;
  return exceeded('too many connections and look-ups of one invocation', 'egressDials', limits);
}

function exceeded(reason: string, limit: keyof EgressLimits, limits: EgressLimits): Refusal {
  return { by: 'limit', reason, remedy: `its limit ${keyOf(limit)} is ${limits[limit]}` };
}
