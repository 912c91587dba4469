import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** The shipped programs and what set-up has built, as absolute paths. */
export const PROJECT = {
  root: ROOT,
  node: join(ROOT, 'toolchain/node/run'),
  playa: join(ROOT, 'packages/dispatcher/bin/playa'),
  buildCwasm: join(ROOT, 'packages/build-cwasm/bin/build-cwasm'),
  examples: join(ROOT, 'examples'),
  guests: join(ROOT, 'test/guests'),
  prebuilt: join(ROOT, 'test/guests/prebuilt'),
  /** What tests build once and use again: artifacts and the key that signs them. */
  cache: join(ROOT, 'build/test-cache'),
} as const;

/** The runner under test: `PLAYA_RUNNER`, else the one that set-up built. */
export function runnerFile(): string {
  return existing(process.env['PLAYA_RUNNER'] ?? join(ROOT, 'build/bin/playa-runner'));
}

/** The spawner under test: `PLAYA_SPAWNER`, else the one that set-up built. */
export function spawnerFile(): string {
  return existing(process.env['PLAYA_SPAWNER'] ?? join(ROOT, 'build/bin/playa-spawner'));
}

/** The stand-in for a runner that was taken over. */
export function hostileRunnerFile(): string {
  return existing(process.env['PLAYA_HOSTILE_RUNNER'] ?? join(ROOT, 'build/bin/playa-hostile-runner'));
}

/** The same without its filters: it is built for the tests alone, and may be missing. */
export function weakenedRunnerFile(): string {
  return process.env['PLAYA_WEAKENED_RUNNER'] ?? join(ROOT, 'build/test-bin/playa-weakened-runner');
}

/** The compiler: `PLAYA_WASMTIME`, else the one that set-up built. */
export function wasmtimeFile(): string {
  return existing(process.env['PLAYA_WASMTIME'] ?? join(ROOT, 'build/bin/wasmtime'));
}

function existing(file: string): string {
  if (!existsSync(file)) throw new Error(`${file} is missing; npm test builds it`);
  return file;
}
