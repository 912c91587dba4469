import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bytes, count, DAY_MS, GIB, MIB, milliseconds } from './option-kind.ts';

const TREE = fileURLToPath(new URL('../../../../', import.meta.url));
const group = 'Artifacts';

/** Options of the tiers between a bucket and the sandboxes (docs/tiers.md). */
export const ARTIFACT_OPTIONS = {
  cacheMaxBytes: {
    kind: bytes(MIB, Number.MAX_SAFE_INTEGER),
    fallback: () => 4 * GIB,
    group,
    description: 'Verified artifacts that are kept in the state folder.',
  },
  maxArtifactBytes: {
    kind: bytes(1024, 64 * GIB),
    fallback: () => 512 * MIB,
    group,
    description: 'One artifact, not compressed; a longer one is refused.',
  },
  maxFunctions: {
    kind: count(1, 10_000_000),
    fallback: () => 10_000,
    group,
    description: 'Functions that are known in memory; others are looked up on the disk.',
  },
  maxFunctionsBytes: {
    kind: bytes(MIB, Number.MAX_SAFE_INTEGER),
    fallback: () => 64 * MIB,
    group,
    description: 'What is known of functions in memory, their policies included.',
  },
  revalidateMs: {
    kind: milliseconds(100, DAY_MS),
    fallback: () => 5_000,
    group,
    description:
      'How long what a remote bucket had is served before it is asked again, behind the requests. A folder is watched instead.',
  },
  bucketChanges: {
    kind: { type: 'choice', choices: ['ask', 'journal'] },
    fallback: () => 'ask',
    group,
    description:
      'How changes of a remote bucket are seen: `ask` for each function that is in use, or look at the one `journal` that `playa deploy` keeps.',
  },
  maxStaleMs: {
    kind: milliseconds(0, 365 * DAY_MS),
    fallback: () => DAY_MS,
    group,
    description: 'How long what a bucket had is served when it does not answer.',
  },
  missingMs: {
    kind: milliseconds(0, DAY_MS),
    fallback: () => 2_000,
    group,
    description: 'How long a name is remembered that a remote bucket did not have.',
  },
  bucketWaitMs: {
    kind: milliseconds(1, DAY_MS),
    fallback: () => 10_000,
    group,
    description: 'The longest that a request waits for the bucket, or for a function to be compiled.',
  },
  compiler: {
    kind: { type: 'text' },
    fallback: () => join(TREE, 'build/bin/wasmtime'),
    fallbackText: '`build/bin/wasmtime` of the source tree',
    group,
    description: 'The wasmtime command that compiles NAME.wasm of the bucket; `none` compiles nothing.',
  },
  compileMs: {
    kind: milliseconds(100, DAY_MS),
    fallback: () => 300_000,
    group,
    description: 'How long one function may take to compile.',
  },
  compileMemoryBytes: {
    kind: bytes(64 * MIB, 1024 * GIB),
    fallback: () => 4 * GIB,
    group,
    description: 'Address space of one compilation.',
  },
  compileJobs: {
    kind: count(1, 64),
    fallback: () => 1,
    group,
    description: 'Compilations side by side; others wait.',
  },
} as const;
