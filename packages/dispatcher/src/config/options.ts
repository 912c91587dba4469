import { availableParallelism, homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { keyStoreFolder } from '@playa/common/key-store';
import { defaultMinFreeBytes } from '../admission/memory-gauge.ts';
import { ISOLATIONS, type Isolation } from '../policy/isolation.ts';
import { capName, LIMITS, LIMIT_NAMES, type CapName, type LimitName } from '../policy/limits.ts';
import { ARTIFACT_OPTIONS } from './artifact-options.ts';
import { EGRESS_OPTIONS } from './egress-options.ts';
import { bytes, count, DAY_MS, GIB, KIB, milliseconds, type OptionKind } from './option-kind.ts';

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
const LIMIT_OPTIONS = Object.fromEntries(
  LIMIT_NAMES.map((name) => {
    const { kind, fallback, bounds } = LIMITS[name];
    return [name, { kind, fallback: () => fallback, group: 'Limits of a function', description: bounds }];
  }),
) as { [name: string]: Option } as Record<LimitName, Option>;

const CAP_OPTIONS = Object.fromEntries(
  LIMIT_NAMES.map((name) => {
    const { kind, cap } = LIMITS[name];
    const description = `The most that a policy may ask for; at least the default of the server.`;
    return [capName(name), { kind, fallback: () => cap, group: 'Caps of the limits', description }];
  }),
) as { [name: string]: Option } as Record<CapName, Option>;

/** All options of `playa serve`, by their name in the program. */
export const OPTIONS = {
  bucket: {
    kind: { type: 'path' },
    fallback: () => 'bucket',
    group: 'Server',
    description:
      'Where functions are read from: a folder, or s3://BUCKET/PREFIX, r2://ACCOUNT/BUCKET/PREFIX, gs://BUCKET/PREFIX (docs/buckets.md).',
  },
  listen: {
    kind: { type: 'address' },
    fallback: () => '127.0.0.1:8080',
    group: 'Server',
    description: 'Address and port to listen on; port 0 lets the system choose one.',
  },
  adminListen: {
    kind: { type: 'text' },
    fallback: () => '',
    fallbackText: 'none',
    group: 'Server',
    description: 'Address and port of the listener for operators (docs/administration.md), such as 127.0.0.1:8081.',
  },
  adminTokenFile: {
    kind: { type: 'text' },
    fallback: () => '',
    fallbackText: '`admin-token` in the state folder, made on first use',
    group: 'Server',
    description: 'File with the token that the listener for operators asks for.',
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
  secrets: {
    kind: { type: 'text' },
    fallback: () => '',
    fallbackText: 'none',
    group: 'Server',
    description: 'File of the secrets that functions may ask for in their policies (docs/policy.md).',
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
  capIsolation: {
    kind: { type: 'choice', choices: ISOLATIONS },
    fallback: () => 'instance',
    group: 'Isolation',
    description: "The weakest isolation that a function's policy may ask for.",
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
  maxInFlight: {
    kind: count(1, 1_000_000),
    fallback: () => 10_000,
    group: 'Limits of the server',
    description:
      'Requests that are under way at once, running or waiting; beyond it functions that have their share of them get 503.',
  },
  clientRequestsPerSecond: {
    kind: count(0, 1_000_000),
    fallback: () => 0,
    group: 'Limits of the server',
    description:
      'Requests of one client address (IPv6: its /64 network) in a second on average, twice as many in a burst; 0 is no bound.',
  },
  trustedProxies: {
    kind: { type: 'text' },
    fallback: () => '',
    fallbackText: 'none',
    group: 'Limits of the server',
    description:
      'Addresses and networks, separated by commas, whose X-Forwarded-For is believed; `loopback` is this machine, which is right behind a tunnel.',
  },
  minFreeMemoryBytes: {
    kind: bytes(0, 1024 * GIB),
    fallback: () => defaultMinFreeBytes(),
    fallbackText: 'a twentieth of the memory, at most 256m',
    group: 'Limits of the server',
    description: 'Memory that must be available for another sandbox to be bound to a function; 0 is no bound.',
  },
  maxRequestHeaderBytes: {
    kind: bytes(KIB, 128 * KIB),
    fallback: () => 32 * KIB,
    group: 'Limits of the server',
    description: 'Request line and header fields of a request.',
  },
  runner: {
    kind: { type: 'path' },
    fallback: () => join(TREE, 'build/bin/playa-runner'),
    fallbackText: '`build/bin/playa-runner` of the source tree',
    group: 'Programs',
    description: "The runner's binary.",
  },
  spawner: {
    kind: { type: 'path' },
    fallback: () => join(TREE, 'build/bin/playa-spawner'),
    fallbackText: '`build/bin/playa-spawner` of the source tree',
    group: 'Programs',
    description: "The spawner's binary, which starts the sandboxes.",
  },
  bubblewrap: {
    kind: { type: 'text' },
    fallback: () => 'bwrap',
    group: 'Programs',
    description: 'The bubblewrap command.',
  },
  ...ARTIFACT_OPTIONS,
  ...EGRESS_OPTIONS,
  ...LIMIT_OPTIONS,
  ...CAP_OPTIONS,
} as const satisfies Record<string, Option>;

export type OptionName = keyof typeof OPTIONS;

/** The values of all options. Paths are as they were given. */
export type Config = {
  [Name in OptionName]: Name extends 'isolation' | 'capIsolation'
    ? Isolation
    : (typeof OPTIONS)[Name]['kind'] extends { type: 'text' | 'path' | 'address' | 'choice' }
      ? string
      : number;
};

function defaultStateDirectory(env: NodeJS.ProcessEnv): string {
  if (process.getuid?.() === 0) return '/var/cache/playa';
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'playa');
}
