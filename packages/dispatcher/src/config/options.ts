import { availableParallelism, homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { keyStoreFolder } from '@playa/common/key-store';
import { ISOLATIONS, type Isolation } from '../policy/limits.ts';

/** What a value is and how it is checked. Sizes are whole bytes; `1k`, `1m`, `1g` stand for powers of 1024. */
export type OptionKind =
  | { type: 'text' }
  | { type: 'path' }
  | { type: 'address' }
  | { type: 'count'; min: number; max: number }
  | { type: 'bytes'; min: number; max: number }
  | { type: 'milliseconds'; min: number; max: number }
  | { type: 'switch' }
  | { type: 'choice'; choices: readonly string[] };

/** One row of the schema: flag, environment variable, key, default and description of an option derive from it. */
export type Option = {
  kind: OptionKind;
  /** The value where nothing else is given. */
  fallback: (env: NodeJS.ProcessEnv) => string | number | boolean;
  /** How the documentation shows a default that depends on the machine. */
  fallbackText?: string;
  group: string;
  description: string;
};

const TREE = fileURLToPath(new URL('../../../../', import.meta.url));
const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const DAY_MS = 24 * 60 * 60 * 1000;

const count = (min: number, max: number): OptionKind => ({ type: 'count', min, max });
const bytes = (min: number, max: number): OptionKind => ({ type: 'bytes', min, max });
const milliseconds = (min: number, max: number): OptionKind => ({ type: 'milliseconds', min, max });

/** All options of `playa serve`, by their name in the program. */
export const OPTIONS = {
  bucket: {
    kind: { type: 'path' },
    fallback: () => 'bucket',
    group: 'Server',
    description: 'The folder that functions are read from.',
  },
  listen: {
    kind: { type: 'address' },
    fallback: () => '127.0.0.1:8080',
    group: 'Server',
    description: 'Address and port to listen on; port 0 lets the system choose one.',
  },
  stateDir: {
    kind: { type: 'path' },
    fallback: (env) => defaultStateDirectory(env),
    fallbackText: '`/var/cache/playa` as root, else `$XDG_CACHE_HOME/playa` or `~/.cache/playa`',
    group: 'Server',
    description:
      "Folder for verified artifacts and the sandboxes' inputs. Must be on a file system that allows execution. As root, all folders above it must be passable for other users.",
  },
  keys: {
    kind: { type: 'path' },
    fallback: (env) => keyStoreFolder(env),
    fallbackText: '`$XDG_CONFIG_HOME/playa/keys` or `~/.config/playa/keys`',
    group: 'Server',
    description: 'Folder of the keys whose artifacts are trusted.',
  },
  drainMs: {
    kind: milliseconds(0, DAY_MS),
    fallback: () => 10_000,
    group: 'Server',
    description: 'How long a stop waits for invocations that are under way.',
  },
  logLevel: {
    kind: { type: 'choice', choices: ['debug', 'info', 'warn', 'error', 'silent'] },
    fallback: () => 'info',
    group: 'Server',
    description: 'The least severe level that is logged. Invocations are logged at `info`.',
  },
  isolation: {
    kind: { type: 'choice', choices: ISOLATIONS },
    fallback: () => 'process',
    group: 'Isolation',
    description:
      "What a request gets of its own: a sandbox, a process in its function's sandbox, or a Wasm instance in a process of its function.",
  },
  poolSize: {
    kind: count(0, 1000),
    fallback: () => 4,
    group: 'Isolation',
    description: 'Sandboxes that wait, started and bound to no function.',
  },
  startsAtOnce: {
    kind: count(1, 64),
    fallback: () => 2 * availableParallelism(),
    fallbackText: 'twice the number of cores',
    group: 'Isolation',
    description: 'Sandboxes that are started side by side.',
  },
  maxRunners: {
    kind: count(1, 10_000),
    fallback: () => 128,
    group: 'Isolation',
    description: 'Sandboxes that are bound to functions; beyond it the one that has been idle for longest is ended.',
  },
  runnersPerFunction: {
    kind: count(1, 1000),
    fallback: () => 4,
    group: 'Isolation',
    description: 'Sandboxes of one function, for the isolations `process` and `instance`.',
  },
  lanesPerRunner: {
    kind: count(1, 64),
    fallback: () => 8,
    group: 'Isolation',
    description: 'Processes in one sandbox that can serve at once.',
  },
  concurrencyPerProcess: {
    kind: count(1, 1000),
    fallback: () => 64,
    group: 'Isolation',
    description: 'Requests that a process serves at once with isolation `instance`.',
  },
  processesPerRunner: {
    kind: count(1, 64),
    fallback: () => availableParallelism(),
    fallbackText: 'the number of cores',
    group: 'Isolation',
    description: 'Processes in one sandbox with isolation `instance`.',
  },
  runnerIdleMs: {
    kind: milliseconds(100, DAY_MS),
    fallback: () => 60_000,
    group: 'Isolation',
    description: "A function's sandbox that has served nothing for this long is ended.",
  },
  firstSandboxUid: {
    kind: count(1000, 2_000_000_000),
    fallback: () => 200_000,
    group: 'Isolation',
    description: 'As root: the first of 50,000 user ids that sandboxes run under, each under one of its own.',
  },
  queueLength: {
    kind: count(0, 100_000),
    fallback: () => 256,
    group: 'Limits',
    description: 'Requests that wait for one function; further ones are answered with 503.',
  },
  queueWaitMs: {
    kind: milliseconds(1, DAY_MS),
    fallback: () => 10_000,
    group: 'Limits',
    description: 'The longest that a request waits before it is answered with 503.',
  },
  fuel: {
    kind: count(1, Number.MAX_SAFE_INTEGER),
    fallback: () => 20_000_000_000,
    group: 'Limits',
    description: 'Fuel of an invocation: about one unit for a WebAssembly instruction.',
  },
  wallMs: {
    kind: milliseconds(1, DAY_MS),
    fallback: () => 30_000,
    group: 'Limits',
    description: 'Wall-clock time of an invocation, from its start to the end of its answer.',
  },
  memoryBytes: {
    kind: bytes(64 * KIB, 64 * GIB),
    fallback: () => 128 * MIB,
    group: 'Limits',
    description: 'Linear memory of an invocation, all memories together.',
  },
  maxRequestHeaderBytes: {
    kind: bytes(KIB, 128 * KIB),
    fallback: () => 32 * KIB,
    group: 'Limits',
    description: 'Request line and header fields of a request.',
  },
  maxRequestBodyBytes: {
    kind: bytes(0, Number.MAX_SAFE_INTEGER),
    fallback: () => 100 * MIB,
    group: 'Limits',
    description: 'Body of a request.',
  },
  maxResponseHeaderBytes: {
    kind: bytes(KIB, 128 * KIB),
    fallback: () => 64 * KIB,
    group: 'Limits',
    description: "Header fields of a function's answer.",
  },
  logBytes: {
    kind: bytes(0, 16 * MIB),
    fallback: () => 64 * KIB,
    group: 'Limits',
    description: 'What an invocation may write to stdout and stderr.',
  },
  cacheMaxBytes: {
    kind: bytes(MIB, Number.MAX_SAFE_INTEGER),
    fallback: () => 4 * GIB,
    group: 'Limits',
    description: 'Verified artifacts that are kept in the state folder.',
  },
  maxFunctions: {
    kind: count(1, 10_000_000),
    fallback: () => 10_000,
    group: 'Limits',
    description: 'Functions that are remembered; others are looked up again.',
  },
  runner: {
    kind: { type: 'path' },
    fallback: () => join(TREE, 'build/bin/playa-runner'),
    fallbackText: '`build/bin/playa-runner` of the source tree',
    group: 'Programs',
    description: "The runner's binary.",
  },
  bubblewrap: {
    kind: { type: 'text' },
    fallback: () => 'bwrap',
    group: 'Programs',
    description: 'The bubblewrap command.',
  },
} as const satisfies Record<string, Option>;

export type OptionName = keyof typeof OPTIONS;

/** The values of all options. Paths are as they were given. */
export type Config = {
  [Name in OptionName]: Name extends 'isolation'
    ? Isolation
    : (typeof OPTIONS)[Name]['kind'] extends { type: 'text' | 'path' | 'address' | 'choice' }
      ? string
      : number;
};

function defaultStateDirectory(env: NodeJS.ProcessEnv): string {
  if (process.getuid?.() === 0) return '/var/cache/playa';
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'playa');
}
