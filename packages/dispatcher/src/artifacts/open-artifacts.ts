import type { Logger } from 'pino';
import type { ObjectStore } from '@playa/common/object-store';
import { loadTrust, verifyTrailer } from '@playa/common/trust';
import type { Config } from '../config/options.ts';
import type { StateDirectory } from '../state/state-directory.ts';
import { createArtifactCatalog, type ArtifactCatalog, type Freshness } from './artifact-catalog.ts';
import type { Artifact } from './artifact.ts';
import type { GrantPolicy } from './catalog-entry.ts';
import { openDiskStore } from './disk-store.ts';
import { checkEngine, type HostEngine } from './engine-check.ts';
import { createFunctionReader } from './function-reader.ts';
import { openNameRecords } from './name-records.ts';
import { createRefusingCompiler } from './refusing-compiler.ts';
import { watchTrust } from './trust-watch.ts';
import type { AcceptTrailer } from './verify-file.ts';

/** A bucket on this machine is asked for every change; without a word from its watch, which can lose events, after this. */
const WATCHED_REVALIDATE_MS = 1_000;
const TRUST_INTERVAL_MS = 2_000;

/** Puts the tiers together: memory, disk, bucket. */
export async function openArtifacts(deps: {
  bucket: ObjectStore;
  config: Config;
  state: Pick<StateDirectory, 'root'>;
  engine: HostEngine;
  grant: GrantPolicy;
  onRetired: (artifact: Artifact) => void;
  nowMs: () => number;
  log: Logger;
}): Promise<ArtifactCatalog> {
  const { bucket, config, state, engine, log } = deps;
  const disk = await openDiskStore({
    directory: state.root,
    maxBytes: config.cacheMaxBytes,
    maxArtifactBytes: config.maxArtifactBytes,
    nowMs: Date.now,
  });
  const records = await openNameRecords({ directory: state.root, bucket: bucket.description, nowMs: Date.now });
  const load = () => loadTrust(config.keys);
  const accept: AcceptTrailer = async (trailer) => {
    const manifest = verifyTrailer(trailer, await load(), Date.now());
    checkEngine(manifest, engine);
    return manifest;
  };
  const compiler = createRefusingCompiler('it has no compiler');
  const catalog = createArtifactCatalog({
    bucket,
    disk,
    records,
    accept,
    reader: createFunctionReader({ bucket, disk, records, accept, compiler }),
    freshness: freshnessOf(bucket, config),
    maxNames: config.maxFunctions,
    maxBytes: config.maxFunctionsBytes,
    grant: deps.grant,
    isCompiling: (name) => compiler.busyWith(name),
    onRetired: deps.onRetired,
    nowMs: deps.nowMs,
    random: Math.random,
    log,
  });
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
      catalog.close();
      disk.close();
    },
  };
}

function freshnessOf(bucket: ObjectStore, config: Config): Freshness {
  const { maxStaleMs, bucketWaitMs: waitMs } = config;
  if (bucket.watch !== undefined) {
    return { revalidateMs: WATCHED_REVALIDATE_MS, background: false, negativeMs: 0, maxStaleMs, waitMs };
  }
  return { revalidateMs: config.revalidateMs, background: true, negativeMs: config.missingMs, maxStaleMs, waitMs };
}
