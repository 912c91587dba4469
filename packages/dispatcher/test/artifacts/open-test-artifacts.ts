import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import type { ObjectStore } from '@playa/common/object-store';
import type { Artifact } from '../../src/artifacts/artifact.ts';
import type { ArtifactCatalog } from '../../src/artifacts/artifact-catalog.ts';
import { openArtifacts } from '../../src/artifacts/open-artifacts.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { createPolicyGranter } from '../../src/policy/policy-granter.ts';
import { createUserIds } from '../../src/pool/user-ids.ts';
import { NO_SECRETS } from '../../src/policy/secret-store.ts';

/** The tiers as the server puts them together, with keys and state below a folder. */
export function openTestArtifacts(
  folder: string,
  bucket: ObjectStore,
  more: { flags?: string[]; nowMs?: () => number; onRetired?: (artifact: Artifact) => void } = {},
): Promise<ArtifactCatalog> {
  const config = loadConfig(
    ['--no-config', '--compiler', 'none', '--keys', join(folder, 'keys'), ...(more.flags ?? [])],
    {},
  );
  mkdirSync(join(folder, 'state'), { recursive: true });
  return openArtifacts({
    bucket,
    config,
    state: {
      root: join(folder, 'state'),
      run: join(folder, 'state/run'),
      seccompFilter: '',
      install: () => '',
    },
    bubblewrap: 'bwrap',
    userIds: createUserIds(200_000, false),
    engine: { wasmtime: '48.0.8', architecture: 'x86_64', cpuFeatures: new Set(['sse4_2']) },
    grant: createPolicyGranter(config, NO_SECRETS),
    filesInUse: () => new Set(),
    onRetired: more.onRetired ?? (() => undefined),
    nowMs: more.nowMs ?? (() => performance.now()),
    log: pino({ level: 'silent' }),
  });
}
