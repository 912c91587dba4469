import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { ArtifactError } from '@playa/common/artifact-error';
import { readTrailer, verifyManifest, type ArtifactManifest } from '@playa/common/artifact-trailer';
import type { TrustedKeys } from '@playa/common/key-store';

/** A verified file in the store. */
export type StoredArtifact = { path: string; manifest: ArtifactManifest };

/** Verified artifacts on the local disk, by digest. */
export type DiskStore = {
  /**
   * Writes what is read to the disk, verifies it and keeps it.
   * @throws {ArtifactError} when it is not to be trusted; errors of the source and of the file system as they are.
   */
  admit: (body: AsyncIterable<Buffer>) => Promise<StoredArtifact>;
};

/** Left-overs of a process that died while it wrote; a write takes seconds. */
const STALE_TEMPORARY_MS = 60 * 60 * 1000;
const HASH_CHUNK_BYTES = 1024 * 1024;
/** Eviction goes down to this part of the bound, so that it is not needed again at once. */
const EVICTION_TARGET = 0.85;

/**
 * Opens the store in a folder. Files are named by the SHA-256 of their native code, written beside and renamed, so that a name never
 * stands for half a file; runners hold links of their own, so a file can be removed at any time.
 */
export async function openDiskStore(deps: {
  directory: string;
  maxBytes: number;
  trustedKeys: () => Promise<TrustedKeys>;
  nowMs: () => number;
}): Promise<DiskStore> {
  const blobs = join(deps.directory, 'artifacts');
  const temporary = join(deps.directory, 'incoming');
  await mkdir(blobs, { recursive: true, mode: 0o700 });
  await mkdir(temporary, { recursive: true, mode: 0o700 });
  await removeStale(temporary, deps.nowMs() - STALE_TEMPORARY_MS);

  const admit = async (body: AsyncIterable<Buffer>): Promise<StoredArtifact> => {
    const path = join(temporary, `${process.pid}-${randomBytes(8).toString('hex')}`);
    try {
      await writeBody(path, body);
      const manifest = await verify(path, await deps.trustedKeys());
      const final = join(blobs, blobName(manifest));
      const now = new Date(deps.nowMs());
      await utimes(path, now, now);
      await rename(path, final);
      await evict(blobs, deps.maxBytes, final);
      return { path: final, manifest };
    } finally {
      await rm(path, { force: true });
    }
  };
  return { admit };
}

/** The manifest is part of the name: the same code may come with another policy. */
function blobName(manifest: ArtifactManifest): string {
  const digest = createHash('sha256').update(JSON.stringify(manifest)).digest('hex');
  return `${manifest.elf.sha256}-${digest.slice(0, 16)}.cwasm`;
}

async function writeBody(path: string, body: AsyncIterable<Buffer>): Promise<void> {
  // Readable for the sandbox's user, writable for nobody: it will be mapped as code.
  const file = await open(path, 'wx', 0o444);
  try {
    for await (const chunk of body) await file.writeFile(chunk);
  } finally {
    await file.close();
  }
}

async function verify(path: string, trustedKeys: TrustedKeys): Promise<ArtifactManifest> {
  const file = await open(path, 'r');
  try {
    const trailer = await readTrailer(file);
    const { manifest } = verifyManifest(trailer.manifestBytes, trailer.signature, trustedKeys);
    const hash = createHash('sha256');
    const chunk = Buffer.allocUnsafe(HASH_CHUNK_BYTES);
    let position = 0;
    while (position < trailer.elfBytes) {
      const wanted = Math.min(chunk.length, trailer.elfBytes - position);
      const { bytesRead } = await file.read(chunk, 0, wanted, position);
      if (bytesRead === 0)
        throw new ArtifactError('not_an_artifact', 'not an artifact: it was truncated while it was read');
      hash.update(chunk.subarray(0, bytesRead));
      position += bytesRead;
    }
    if (hash.digest('hex') !== manifest.elf.sha256) {
      throw new ArtifactError(
        'signature',
        'artifact refused: its code is not what was signed; it was changed after it was built',
      );
    }
    return manifest;
  } finally {
    await file.close();
  }
}

async function removeStale(directory: string, beforeMs: number): Promise<void> {
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    const stats = await stat(path).catch(() => undefined);
    if (stats !== undefined && stats.mtimeMs < beforeMs) await rm(path, { force: true });
  }
}

/** Removes the files that were admitted longest ago until the store is within its bound; never the one just written. */
async function evict(directory: string, maxBytes: number, keep: string): Promise<void> {
  const files = [];
  let total = 0;
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    const stats = await stat(path).catch(() => undefined);
    if (stats === undefined) continue;
    total += stats.size;
    files.push({ path, bytes: stats.size, modifiedAtMs: stats.mtimeMs });
  }
  if (total <= maxBytes) return;
  files.sort((a, b) => a.modifiedAtMs - b.modifiedAtMs);
  for (const file of files) {
    if (total <= maxBytes * EVICTION_TARGET) return;
    if (file.path === keep) continue;
    await rm(file.path, { force: true });
    total -= file.bytes;
  }
}
