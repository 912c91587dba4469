import { createHash } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { replaceFile } from '@playa/common/atomic-file';
import { readTrailer, verifyManifest } from '@playa/common/artifact-trailer';
import { loadTrustedKeys } from '@playa/common/key-store';
import { BUILDER } from '../packages/build-cwasm/src/builder.ts';
import { WASMTIME_VERSION } from '../packages/build-cwasm/src/compile/engine-version.ts';
import type { Target } from '../packages/build-cwasm/src/compile/target.ts';

const ROOT = join(import.meta.dirname, '..');
const NOT_SOURCES = new Set(['node_modules', 'target', 'README.md']);

/** A digest over all that an example is built from, and with. */
export async function digestInputs(name: string, target: Target): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([BUILDER, WASMTIME_VERSION, target]));
  hash.update(await readFile(join(ROOT, 'package-lock.json')));
  for (const folder of [join(import.meta.dirname, name), join(ROOT, 'packages/build-cwasm/src')]) {
    for (const file of await listSources(folder)) {
      hash.update(`\n${file.slice(ROOT.length)}\n`).update(await readFile(file));
    }
  }
  return hash.digest('hex');
}

/** Whether an artifact is there, was built from these inputs, and is signed by a key that is trusted now. */
export async function isUpToDate(output: string, inputs: string, keysFolder: string): Promise<boolean> {
  try {
    const stamp = JSON.parse(await readFile(stampPath(output), 'utf8')) as { inputs?: unknown; elf?: unknown };
    const { manifestBytes, signature } = await readTrailer(output);
    const { manifest } = verifyManifest(manifestBytes, signature, await loadTrustedKeys(keysFolder));
    return stamp.inputs === inputs && stamp.elf === manifest.elf.sha256;
  } catch {
    // Missing, damaged or not trusted any more: whatever it is, building again mends it.
    return false;
  }
}

/** Notes what an artifact was built from, in a hidden file beside it. */
export async function writeStamp(output: string, inputs: string): Promise<void> {
  await rm(stampPath(output), { force: true });
  const { manifest } = await readTrailer(output);
  await replaceFile(stampPath(output), `${JSON.stringify({ inputs, elf: manifest.elf.sha256 })}\n`, 0o644);
}

function stampPath(output: string): string {
  return join(dirname(output), `.${basename(output)}.stamp`);
}

async function listSources(folder: string): Promise<string[]> {
  const files: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (NOT_SOURCES.has(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) files.push(...(await listSources(path)));
    else files.push(path);
  }
  return files.toSorted();
}
