import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PROJECT, wasmtimeFile } from './project.ts';

const run = promisify(execFile);

/** The key store of the tests: it signs what the cache holds, and test servers trust it. */
export const TEST_KEYS = join(PROJECT.cache, 'keys');

/**
 * Builds a function with the shipped build-cwasm, or takes it from the cache.
 *
 * The cache's key is the digest of the source, of the lock file and of build-cwasm's own sources.
 *
 * @param source a file that build-cwasm takes
 * @returns the artifact's path; rejects with build-cwasm's output where it fails
 */
export async function buildFunction(source: string): Promise<string> {
  const key = digest([readFileSync(source), source.slice(source.lastIndexOf('.')), builderDigest()]);
  return cached(`${key}.cwasm`, async (temporary) => {
    await run(PROJECT.buildCwasm, [source, '-o', temporary], { env: buildEnvironment(), maxBuffer: 16 * 1024 * 1024 });
  });
}

/** A prebuilt guest of test/guests/prebuilt, as an artifact. */
export function buildGuest(name: string): Promise<string> {
  return buildFunction(join(PROJECT.prebuilt, `${name}.wasm`));
}

/** The environment in which build-cwasm finds the tests' key and the compiler. */
export function buildEnvironment(): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    PLAYA_KEYS: TEST_KEYS,
    PLAYA_WASMTIME: wasmtimeFile(),
  };
}

/**
 * Makes a file of the cache where it is not there yet. Two that make the same one at once do no harm.
 * @param make writes the file to the path that it is given
 */
export async function cached(name: string, make: (temporary: string) => Promise<void>): Promise<string> {
  const path = join(PROJECT.cache, name);
  if (existsSync(path)) return path;
  mkdirSync(PROJECT.cache, { recursive: true });
  const temporary = join(PROJECT.cache, `making-${process.pid}-${Math.random().toString(36).slice(2)}-${name}`);
  try {
    await make(temporary);
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
  return path;
}

/** SHA-256 over parts, in hexadecimal digits. */
export function digest(parts: readonly (string | Buffer)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(String(part.length)).update(':').update(part);
  return hash.digest('hex');
}

/** Digest of all that decides what build-cwasm makes of a source. */
function builderDigest(): string {
  const folders = ['packages/build-cwasm/src', 'packages/common/src'].map((folder) => join(PROJECT.root, folder));
  const files = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  const inputs = [join(PROJECT.root, 'Cargo.lock'), ...files.toSorted()];
  return digest(inputs.flatMap((file) => [file, readFileSync(file)]));
}

/** Writes a file that is there at once and complete, as an upload does. */
export function putFile(path: string, content: Buffer | string): void {
  const temporary = `${path}.${Math.random().toString(36).slice(2)}.part`;
  writeFileSync(temporary, content);
  renameSync(temporary, path);
}
