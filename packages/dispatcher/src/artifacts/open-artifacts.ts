import { join } from 'node:path';
import type { Logger } from 'pino';
import type { ObjectStore } from '@playa/common/object-store';
import { openSigningKey, type SigningKey } from '@playa/common/key-store';
import { loadTrust, verifyTrailer, type Trust } from '@playa/common/trust';
import type { Config } from '../config/options.ts';
import type { UserIds } from '../pool/user-ids.ts';
import { findProgram } from '../spawner/find-program.ts';
import type { StateDirectory } from '../state/state-directory.ts';
import { createRefusingCompiler } from './compile/refusing-compiler.ts';
import { createSourceCompiler, type SourceCompiler } from './compile/source-compiler.ts';
import { createArtifactCatalog, type ArtifactCatalog, type Freshness } from './artifact-catalog.ts';
import type { Artifact } from './artifact.ts';
import { followChanges } from './change-follower.ts';
import type { GrantPolicy } from './catalog-entry.ts';
import { openDiskStore } from './disk-store.ts';
import { checkEngine, type HostEngine } from './engine-check.ts';
import { createFunctionReader } from './function-reader.ts';
import { openNameRecords } from './name-records.ts';
import { watchTrust } from './trust-watch.ts';
import type { AcceptTrailer } from './verify-file.ts';

/** A bucket on this machine is asked for every change; without a word from its watch, which can lose events, after this. */
const WATCHED_REVALIDATE_MS = 1_000;
const TRUST_INTERVAL_MS = 2_000;
/** One admission asks for it several times. */
const TRUST_MEMORY_MS = 100;

/** Puts the tiers together: memory, disk, bucket. */
export async function openArtifacts(deps: {
  bucket: ObjectStore;
  config: Config;
  state: Pick<StateDirectory, 'root' | 'run' | 'install' | 'seccompFilter'>;
  bubblewrap: string;
  userIds: UserIds;
  engine: HostEngine;
  grant: GrantPolicy;
  onRetired: (artifact: Artifact) => void;
  /** Files of the disk tier that runners of this server have mapped. */
  filesInUse: () => ReadonlySet<string>;
  nowMs: () => number;
  log: Logger;
}): Promise<ArtifactCatalog> {
  const { bucket, config, state, engine, log } = deps;
  const disk = await openDiskStore({
    directory: state.root,
    maxBytes: config.cacheMaxBytes,
    maxArtifactBytes: config.maxArtifactBytes,
    filesInUse: deps.filesInUse,
    nowMs: Date.now,
  });
  const records = await openNameRecords({ directory: state.root, bucket: bucket.description, nowMs: Date.now });
  const compilerPath = config.compiler === 'none' ? undefined : findProgram(config.compiler, process.env['PATH']);
  // Its own key: what this server compiled is trusted here and nowhere else.
  const own = compilerPath === undefined ? undefined : await openSigningKey(join(state.root, 'compile-key'));
  const load = remembered(async () => alsoTrust(await loadTrust(config.keys), own), TRUST_MEMORY_MS, deps.nowMs);
  const accept: AcceptTrailer = async (trailer) => {
    const manifest = verifyTrailer(trailer, await load(), Date.now());
    checkEngine(manifest, engine);
    return manifest;
  };
  const onCompiled = (name: string): void => catalog.invalidate(name);
  const compiler: SourceCompiler =
    compilerPath === undefined || own === undefined
      ? createRefusingCompiler(config.compiler === 'none' ? 'it is told not to' : 'it has no compiler')
      : createSourceCompiler({
          folder: join(state.run, 'compile'),
          programs: { bubblewrap: deps.bubblewrap, seccompFilter: state.seccompFilter },
          compiler: () => state.install('playa-compiler', compilerPath),
          wasmtime: engine.wasmtime,
          userIds: deps.userIds,
          limits: {
            wallMs: config.compileMs,
            memoryBytes: config.compileMemoryBytes,
            outputBytes: config.maxArtifactBytes,
          },
          jobsAtOnce: config.compileJobs,
          key: own,
          ...{ disk, records, accept, onCompiled, log },
        });
  const catalog: ArtifactCatalog = createArtifactCatalog({
    bucket,
    disk,
    records,
    accept,
    // What is trusted is read while the artifact is.
    reader: createFunctionReader({ bucket, disk, records, accept, onArriving: () => void load(), compiler }),
    freshness: freshnessOf(bucket, config),
    maxNames: config.maxFunctions,
    maxBytes: config.maxFunctionsBytes,
    grant: deps.grant,
    isCompiling: (name) => compiler.busyWith(name),
    isFollowed: (checkedAtMs) => follower?.covers(checkedAtMs) ?? false,
    onRetired: deps.onRetired,
    nowMs: deps.nowMs,
    random: Math.random,
    log,
  });
  const follower =
    config.bucketChanges === 'journal' && bucket.watch === undefined
      ? followChanges({
          bucket,
          intervalMs: config.revalidateMs,
          onChange: (name) => catalog.invalidate(name),
          nowMs: deps.nowMs,
          random: Math.random,
          log,
        })
      : undefined;
  const trustWatch = watchTrust({
    load,
    intervalMs: TRUST_INTERVAL_MS,
    onChange: (refusal) => catalog.recheck(refusal),
    nowMs: Date.now,
    log,
  });
  return {
    ...catalog,
    close: () => {
      trustWatch.close();
      follower?.close();
      catalog.close();
      compiler.close();
      disk.close();
    },
  };
}

/** Reads once for all who ask within a time. What failed is not remembered. */
function remembered<T>(read: () => Promise<T>, forMs: number, nowMs: () => number): () => Promise<T> {
  let value: Promise<T> | undefined;
  let atMs = -Infinity;
  return () => {
    if (value !== undefined && nowMs() - atMs < forMs) return value;
    const mine = read();
    value = mine;
    atMs = nowMs();
    mine.catch(() => {
      if (value === mine) value = undefined;
    });
    return mine;
  };
}

function alsoTrust(trust: Trust, key: SigningKey | undefined): Trust {
  if (key === undefined) return trust;
  const { id, publicKey } = key;
  return { ...trust, keys: new Map([...trust.keys, [id, { id, name: 'this server', publicKey }]]) };
}

function freshnessOf(bucket: ObjectStore, config: Config): Freshness {
  const { maxStaleMs, bucketWaitMs: waitMs } = config;
  if (bucket.watch !== undefined) {
    return { revalidateMs: WATCHED_REVALIDATE_MS, background: false, negativeMs: 0, maxStaleMs, waitMs };
  }
  return { revalidateMs: config.revalidateMs, background: true, negativeMs: config.missingMs, maxStaleMs, waitMs };
}
