import { bytes, count, DAY_MS, GIB, KIB, MIB, milliseconds, type OptionKind } from '../config/option-kind.ts';
import type { OutcomeCode } from '../outcome/registry.ts';
import { EGRESS_LIMITS } from './egress-limits.ts';

/** One limit of a function. Options, caps, keys of a policy and docs/limits.md derive from it. */
export type Limit = {
  kind: OptionKind;
  /** What holds where neither operator nor policy say otherwise. */
  fallback: number;
  /** The most that a policy may ask for where the operator does not say otherwise. */
  cap: number;
  /** What it bounds, as a sentence. */
  bounds: string;
  /** How an invocation ends that exceeds it. */
  outcome: OutcomeCode;
  /** Who enforces it. */
  enforcedBy: string;
};

/** All limits of a function, by their name in the program; `wallMs` is `wall-ms` in files and `--wall-ms` as a flag. */
export const LIMITS = {
  fuel: {
    kind: count(1, Number.MAX_SAFE_INTEGER),
    fallback: 20_000_000_000,
    cap: 1_000_000_000_000,
    bounds: 'Fuel of an invocation: about one unit for a WebAssembly instruction.',
    outcome: 'fuel_exhausted',
    enforcedBy: 'the engine',
  },
  cpuMs: {
    kind: milliseconds(1, DAY_MS),
    fallback: 10_000,
    cap: 300_000,
    bounds: 'Processor time of an invocation; waiting does not count.',
    outcome: 'cpu_exceeded',
    enforcedBy: 'the worker; where it serves one request, the kernel as well',
  },
  wallMs: {
    kind: milliseconds(1, DAY_MS),
    fallback: 30_000,
    cap: 300_000,
    bounds: 'Wall-clock time of an invocation, from its start to the end of its answer.',
    outcome: 'wall_exceeded',
    enforcedBy: 'the worker, its supervisor, and the dispatcher, each when the one before has not',
  },
  memoryBytes: {
    kind: bytes(64 * KIB, 64 * GIB),
    fallback: 128 * MIB,
    cap: GIB,
    bounds: 'Linear memory of an invocation, all memories together.',
    outcome: 'memory_exceeded',
    enforcedBy: 'the engine',
  },
  maxInstances: {
    kind: count(1, 10_000),
    fallback: 100,
    cap: 1_000,
    bounds: 'Core instances of an invocation: a component has one for each module that it is made of, and a few more.',
    outcome: 'resource_exceeded',
    enforcedBy: 'the engine',
  },
  maxMemories: {
    kind: count(1, 1_000),
    fallback: 100,
    cap: 100,
    bounds: 'Linear memories of an invocation.',
    outcome: 'resource_exceeded',
    enforcedBy: 'the engine',
  },
  maxTables: {
    kind: count(1, 1_000),
    fallback: 100,
    cap: 100,
    bounds: 'Tables of an invocation.',
    outcome: 'resource_exceeded',
    enforcedBy: 'the engine',
  },
  maxTableElements: {
    kind: count(1, 100_000_000),
    fallback: 1_000_000,
    cap: 10_000_000,
    bounds: 'Elements of all tables of an invocation, 8 bytes each.',
    outcome: 'resource_exceeded',
    enforcedBy: 'the engine',
  },
  maxResources: {
    kind: count(16, 1_000_000),
    fallback: 10_000,
    cap: 100_000,
    bounds: 'Handles that an invocation has open at once, such as bodies, header lists, streams and timers.',
    outcome: 'resource_exceeded',
    enforcedBy: 'the engine',
  },
  hostcallBytes: {
    kind: bytes(64 * KIB, GIB),
    fallback: 8 * MIB,
    cap: 64 * MIB,
    bounds: 'What one call may make the host copy out of a function; larger bodies are streamed.',
    outcome: 'resource_exceeded',
    enforcedBy: 'the engine',
  },
  randomBytes: {
    kind: bytes(32, 64 * MIB),
    fallback: MIB,
    cap: 16 * MIB,
    bounds: 'Random bytes of one call; a function that wants more calls again.',
    outcome: 'resource_exceeded',
    enforcedBy: 'the worker',
  },
  maxRequestBodyBytes: {
    kind: bytes(0, Number.MAX_SAFE_INTEGER),
    fallback: 100 * MIB,
    cap: GIB,
    bounds: 'Body of a request.',
    outcome: 'body_too_large',
    enforcedBy: 'the dispatcher',
  },
  maxResponseHeaderBytes: {
    kind: bytes(KIB, 128 * KIB),
    fallback: 64 * KIB,
    cap: 128 * KIB,
    bounds: "Header fields of a function's answer.",
    outcome: 'header_too_large',
    enforcedBy: 'the worker',
  },
  maxResponseBodyBytes: {
    kind: bytes(0, Number.MAX_SAFE_INTEGER),
    fallback: GIB,
    cap: 16 * GIB,
    bounds: "Body of a function's answer.",
    outcome: 'response_too_large',
    enforcedBy: 'the dispatcher',
  },
  logBytes: {
    kind: bytes(0, 16 * MIB),
    fallback: 64 * KIB,
    cap: MIB,
    bounds: 'What an invocation may write to stdout and stderr; what is beyond is left out.',
    outcome: 'ok',
    enforcedBy: 'the worker',
  },
  logLines: {
    kind: count(0, 1_000_000),
    fallback: 1_000,
    cap: 10_000,
    bounds: 'Lines that an invocation may write to stdout and stderr; what is beyond is left out.',
    outcome: 'ok',
    enforcedBy: 'the worker',
  },
  concurrency: {
    kind: count(1, 100_000),
    fallback: 512,
    cap: 10_000,
    bounds: 'Invocations of a function that run at once; further ones wait.',
    outcome: 'queue_full',
    enforcedBy: 'the dispatcher',
  },
  runnersPerFunction: {
    kind: count(1, 1000),
    fallback: 4,
    cap: 64,
    bounds: 'Sandboxes of a function, for the isolations `process` and `instance`.',
    outcome: 'queue_full',
    enforcedBy: 'the dispatcher',
  },
  queueLength: {
    kind: count(1, 100_000),
    fallback: 256,
    cap: 10_000,
    bounds: 'Requests that wait for one function; further ones are answered with 503.',
    outcome: 'queue_full',
    enforcedBy: 'the dispatcher',
  },
  queueWaitMs: {
    kind: milliseconds(1, DAY_MS),
    fallback: 10_000,
    cap: 60_000,
    bounds: 'The longest that a request waits before it is answered with 503.',
    outcome: 'queue_full',
    enforcedBy: 'the dispatcher',
  },
  requestsPerSecond: {
    kind: count(1, 1_000_000),
    fallback: 1_000_000,
    cap: 1_000_000,
    bounds: 'Requests to a function in a second, on average; twice as many may come in a burst.',
    outcome: 'rate_limited',
    enforcedBy: 'the dispatcher',
  },
  ...EGRESS_LIMITS,
} as const satisfies Record<string, Limit>;

export type LimitName = keyof typeof LIMITS;

/** The value of each limit, for one function. */
export type Limits = Readonly<Record<LimitName, number>>;

/** All limits, in the table's order. */
export const LIMIT_NAMES = Object.keys(LIMITS) as LimitName[];

/** The option that holds the cap of a limit: `wallMs` → `capWallMs`. */
export type CapName = `cap${Capitalize<LimitName>}`;

/** @returns the option that holds the cap of a limit */
export function capName(name: LimitName): CapName {
  return `cap${name[0]!.toUpperCase()}${name.slice(1)}` as CapName;
}
