import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release } from 'node:os';
import { PEER_VERSION } from '../subjects/peer-command.ts';

/** One measured number with all of its samples, in the order in which they were taken. */
export type Measurement = {
  scenario: string;
  /** What was measured: function, isolation or peer, connections. */
  params: Record<string, string | number>;
  unit: 'requests/s' | 'ms' | 'MB/s' | 'MB';
  samples: number[];
};

/** Writes measurements as JSON: what, with what and on what was measured. */
export function writeResults(file: string, measurements: readonly Measurement[], root: string): void {
  const git = (...args: string[]): string => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
  const origin = {
    schema: 1,
    commit: git('rev-parse', 'HEAD'),
    dirty: git('status', '--porcelain') !== '',
    date: new Date().toISOString(),
    host: {
      cpu: cpus()[0]?.model ?? 'unknown',
      cores: availableParallelism(),
      kernel: release(),
      node: process.version,
      wasmtime: PEER_VERSION,
    },
  };
  writeFileSync(
    file,
    `${JSON.stringify(
      measurements.map((measurement) => ({ ...origin, ...measurement })),
      undefined,
      2,
    )}\n`,
  );
}
