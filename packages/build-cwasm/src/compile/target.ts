import type { CpuLevel } from '@playa/common/artifact-manifest';
import { CPU_LEVELS } from '@playa/common/artifact-manifest';
import { BuildError } from '../build-error.ts';

/** What the code is compiled for. */
export type Target = { readonly triple: string; readonly cpu: CpuLevel };

/** Targets by Node's name of the processor. */
const TRIPLES: Readonly<Record<string, string>> = {
  x64: 'x86_64-unknown-linux-gnu',
  arm64: 'aarch64-unknown-linux-gnu',
};

// wasmtime's option for a level: the presets that are named after the levels cannot be reached from its command line.
const CPU_PRESETS: Readonly<Record<CpuLevel, readonly string[]>> = {
  baseline: [],
  'x86-64-v2': ['-C', 'cranelift-nehalem'],
  'x86-64-v3': ['-C', 'cranelift-haswell'],
};

/**
 * Checks target and CPU level against each other.
 *
 * @param triple the host's when undefined
 * @param cpu `baseline` when undefined
 * @throws BuildError `bad_option`
 */
export function chooseTarget(triple: string | undefined, cpu: string | undefined, hostArchitecture: string): Target {
  const chosen = triple ?? TRIPLES[hostArchitecture];
  const known = Object.values(TRIPLES);
  if (chosen === undefined || !known.includes(chosen)) {
    throw new BuildError(
      'usage',
      'bad_option',
      `--target ${chosen ?? hostArchitecture} is not one of ${known.join(', ')}`,
    );
  }
  const level = CPU_LEVELS.find((candidate) => candidate === (cpu ?? 'baseline'));
  if (level === undefined)
    throw new BuildError('usage', 'bad_option', `--cpu ${cpu} is not one of ${CPU_LEVELS.join(', ')}`);
  if (level !== 'baseline' && !chosen.startsWith('x86_64-')) {
    throw new BuildError('usage', 'bad_option', `--cpu ${level} does not go with --target ${chosen}; use baseline`);
  }
  return { triple: chosen, cpu: level };
}

/** Arguments of `wasmtime compile` for a CPU level. */
export function cpuArguments(cpu: CpuLevel): readonly string[] {
  return CPU_PRESETS[cpu];
}
