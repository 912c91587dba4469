import { bytes, count, GIB } from '../config/option-kind.ts';
import type { Limit } from './limits.ts';

/** The most that a worker opens at once, less what it keeps for itself. */
const MAX_CONNECTIONS = 500;
const MAX_BYTES = Number.MAX_SAFE_INTEGER;

/** Limits of what a function does outside (docs/egress.md): they end a connection, not the invocation. */
export const EGRESS_LIMITS = {
  egressConnections: {
    kind: count(0, MAX_CONNECTIONS),
    fallback: 32,
    cap: MAX_CONNECTIONS,
    bounds: 'Connections that an invocation has open at once.',
    outcome: 'ok',
    enforcedBy: 'the dispatcher',
  },
  egressConnectionsPerFunction: {
    kind: count(0, 100_000),
    fallback: 256,
    cap: 10_000,
    bounds: 'Connections that all invocations of a function have open at once.',
    outcome: 'ok',
    enforcedBy: 'the dispatcher',
  },
  egressDials: {
    kind: count(0, 1_000_000),
    fallback: 1_000,
    cap: 100_000,
    bounds: 'Connections and look-ups that an invocation may ask for.',
    outcome: 'ok',
    enforcedBy: 'the dispatcher',
  },
  egressBytes: {
    kind: bytes(0, MAX_BYTES),
    fallback: GIB,
    cap: 64 * GIB,
    bounds: 'What an invocation may send and receive on its connections in all.',
    outcome: 'ok',
    enforcedBy: 'the dispatcher',
  },
  egressBytesPerMinute: {
    kind: bytes(0, MAX_BYTES),
    // About what one machine moves at most: without a word of the operator it stops nothing but a runaway.
    fallback: 16 * GIB,
    cap: 1024 * GIB,
    bounds:
      'What all invocations of a function may send and receive in a minute, on average; so much may pass at once.',
    outcome: 'ok',
    enforcedBy: 'the dispatcher',
  },
} as const satisfies Record<string, Limit>;
