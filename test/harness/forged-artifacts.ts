import { execFile } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { parse } from '@bytecodealliance/jco';
import type { ArtifactManifest } from '@playa/common/artifact-manifest';
import { signArtifact } from '@playa/common/artifact-trailer';
import { openSigningKey, type SigningKey } from '@playa/common/key-store';
import { createHash } from 'node:crypto';
import { cached, digest, TEST_KEYS } from './artifacts.ts';
import { PROJECT, wasmtimeFile } from './project.ts';

const run = promisify(execFile);

/** The flags that the runner's settings demand. */
const RUNNER_FLAGS = ['-W', 'fuel=1,epoch-interruption=y'];
const TARGETS: Record<string, string> = { x64: 'x86_64-unknown-linux-gnu', arm64: 'aarch64-unknown-linux-gnu' };

/** The triple of this machine, as artifacts name it. */
export const HOST_TARGET = TARGETS[process.arch]!;

/** Members of a manifest that may lie. */
export type ManifestLies = Partial<Omit<ArtifactManifest, 'format' | 'key' | 'elf'>>;

/** Compiles a guest of test/guests/wat, by its name without `.wat`; `flags` in place of those that the runner needs. */
export async function compileWat(name: string, flags: readonly string[] = RUNNER_FLAGS): Promise<Buffer> {
  return compile(join(PROJECT.guests, 'wat', `${name}.wat`), flags);
}

/** Compiles a guest of test/guests/prebuilt, by its name without `.wasm`. */
export async function compilePrebuilt(name: string, flags: readonly string[] = RUNNER_FLAGS): Promise<Buffer> {
  return compile(join(PROJECT.prebuilt, `${name}.wasm`), flags);
}

/**
 * Signs native code with a manifest that says what the caller wants it to: what build-cwasm would refuse to write.
 * @param key the tests' own key without it
 */
export async function forge(elf: Buffer, lies: ManifestLies = {}, key?: SigningKey): Promise<Buffer> {
  const sha256 = createHash('sha256').update(elf).digest('hex');
  const trailer = signArtifact(
    {
      name: 'forged',
      kind: 'component',
      source: { kind: 'component', sha256 },
      engine: { wasmtime: '48.0.8', target: HOST_TARGET, cpu: 'baseline', flags: ['fuel', 'epoch-interruption'] },
      world: 'http-0.2',
      builtAt: '2026-01-01T00:00:00.000Z',
      builder: 'the tests',
      elf: { sha256, bytes: elf.length },
      ...lies,
    },
    key ?? (await openSigningKey(TEST_KEYS)),
  );
  return Buffer.concat([elf, trailer]);
}

/** A signed artifact of a guest of test/guests/wat. */
export async function forgeWat(name: string, lies?: ManifestLies): Promise<Buffer> {
  return forge(await compileWat(name), lies);
}

/** What a manifest says of a wasip1 module. */
export const MODULE: ManifestLies = { kind: 'module', world: 'module' };

async function compile(source: string, flags: readonly string[]): Promise<Buffer> {
  const key = digest([readFileSync(source), flags.join(' '), readFileSync(join(PROJECT.root, 'Cargo.lock'))]);
  const file = await cached(`${basename(source)}-${key}.elf`, async (temporary) => {
    const binary = `${temporary}.wasm`;
    const args = ['compile', '-C', 'cache=n', ...flags, '--target', HOST_TARGET, '-o', temporary, binary];
    try {
      // The compiler takes the binary format alone.
      writeFileSync(binary, source.endsWith('.wat') ? await parse(readFileSync(source, 'utf8')) : readFileSync(source));
      await run(wasmtimeFile(), args, { env: {} });
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    } finally {
      rmSync(binary, { force: true });
    }
  });
  return readFileSync(file);
}
