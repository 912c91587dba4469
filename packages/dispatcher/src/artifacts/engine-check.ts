import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { ArtifactManifest, CpuLevel } from '@playa/common/artifact-manifest';
import { InvocationError } from '../outcome/invocation-error.ts';

/** What native code this server can run. */
export type HostEngine = { wasmtime: string; architecture: string; cpuFeatures: ReadonlySet<string> };

/** Flags of `wasmtime compile` that runners are built for. */
const REQUIRED_FLAGS = ['fuel', 'epoch-interruption'];

/**
 * The features of a level by the names that /proc/cpuinfo uses: the x86-64 psABI's levels without those that every kernel of the
 * level has (https://gitlab.com/x86-psABIs/x86-64-ABI).
 */
const LEVEL_FEATURES: Record<CpuLevel, string[]> = {
  baseline: [],
  'x86-64-v2': ['cx16', 'lahf_lm', 'popcnt', 'ssse3', 'sse4_1', 'sse4_2'],
  'x86-64-v3': ['cx16', 'lahf_lm', 'popcnt', 'ssse3', 'sse4_1', 'sse4_2', 'avx', 'avx2', 'bmi1', 'bmi2', 'fma', 'abm'],
};

/**
 * A short name of all that decides what native code an engine makes: full version, target, CPU level, flags. It is part of the name under
 * which code is kept, so that code of another engine is never taken for the present one's.
 */
export function engineFingerprint({ wasmtime, target, cpu, flags }: ArtifactManifest['engine']): string {
  const parts = [wasmtime, target, cpu, ...flags.toSorted()];
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 16);
}

/** Describes this machine. */
export function describeHostEngine(wasmtime: string): HostEngine {
  const flags = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? '';
  const architecture = process.arch === 'x64' ? 'x86_64' : 'aarch64';
  return { wasmtime, architecture, cpuFeatures: new Set(flags.split(/\s+/).filter((flag) => flag !== '')) };
}

/**
 * Checks that native code was compiled by the runner's very engine, for this machine.
 *
 * Wasmtime itself compares major versions only; a patch release may mend a miscompilation, so an artifact
 * of an earlier one is not loaded.
 *
 * @throws {InvocationError} `artifact_refused` with the reason `version`, `cpu` or `settings`.
 */
export function checkEngine(manifest: ArtifactManifest, host: HostEngine): void {
  const { wasmtime, target, cpu, flags } = manifest.engine;
  if (wasmtime !== host.wasmtime) {
    throw refused('version', `compiled by Wasmtime ${wasmtime}, this server runs ${host.wasmtime}; build it again`);
  }
  if (target.split('-')[0] !== host.architecture) {
    throw refused('cpu', `compiled for ${target}, this server is ${host.architecture}; build it with --target`);
  }
  const missing = LEVEL_FEATURES[cpu].filter((feature) => !host.cpuFeatures.has(feature));
  if (missing.length > 0) {
    throw refused(
      'cpu',
      `compiled for ${cpu}, this server's CPU lacks ${missing.join(', ')}; build it with --cpu baseline`,
    );
  }
  for (const flag of REQUIRED_FLAGS) {
    if (!flags.includes(flag)) throw refused('settings', `compiled without ${flag}; build it again with build-cwasm`);
  }
}

function refused(reason: string, detail: string): InvocationError {
  return new InvocationError('artifact_refused', `The artifact was ${detail}.`, { reason });
}
