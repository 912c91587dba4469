import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { LRUCache } from 'lru-cache';
import { ArtifactError } from '@playa/common/artifact-error';
import {
  MAX_TRAILER_BYTES,
  parseTail,
  readTrailer,
  type ArtifactManifest,
  type ArtifactTrailer,
} from '@playa/common/artifact-trailer';
import { InvocationError } from '../outcome/invocation-error.ts';
import { asDiskError } from './disk-error.ts';
import { createDiskRoom } from './disk-room.ts';
import { engineFingerprint } from './engine-check.ts';
import { publishIncoming, writeIncoming, type AtStep } from './incoming-file.ts';
import { ObjectChangedError, peekable, type IncomingObject } from './incoming-object.ts';
import { checkDigest, verifyFile, type AcceptTrailer } from './verify-file.ts';
import { decompressZstd, isZstd, MAX_ZSTD_HEAD_BYTES, zstdContentBytes } from './zstd-content.ts';

/** A verified file in the store. */
export type StoredArtifact = {
  /** Its name in the store, which stands for this content and no other. */
  blob: string;
  path: string;
  manifest: ArtifactManifest;
};

/** Verified artifacts on the local disk, by digest. */
export type DiskStore = {
  /**
   * Verifies what is read and keeps it on the disk. Of what is long the end is looked at before anything is written, so that neither junk nor what
   * would be refused is copied.
   * @throws {ArtifactError | InvocationError} when it is not accepted, {ObjectChangedError} when it was replaced meanwhile,
   *   {DiskError} for the disk; errors of the body as they are
   */
  admit: (object: IncomingObject, accept: AcceptTrailer) => Promise<StoredArtifact>;
  /**
   * Takes a file that is kept, and verifies all of it again: it may be left from an earlier process, or foreign. A damaged one is removed.
   * @returns `undefined` when it is not there or not accepted
   */
  open: (blob: string, accept: AcceptTrailer) => Promise<StoredArtifact | undefined>;
  /** A runner used the file, so many milliseconds ago: it is evicted later than what was used before. */
  used: (path: string, agoMs: number) => void;
  close: () => void;
};

/** Where artifacts are, below the state folder, and where they are written. */
export const DISK_STORE_FOLDERS = ['artifacts', 'incoming'] as const;

/** Left-overs of a process that died while it wrote; a write takes seconds. */
const STALE_TEMPORARY_MS = 60 * 60 * 1000;
/** The end of what is longer is read first, by a request of its own. For the rest that would take longer than to write it and remove it again. */
const ONE_PASS_BYTES = 16 * 1024 * 1024;
/** So many files are known to be whole; further ones are hashed again when they are needed again. */
const MAX_VERIFIED = 20_000;
const BLOB = /^[0-9a-f]{64}-[0-9a-f]{16}-[0-9a-f]{16}\.cwasm$/;

/**
 * Opens the store in a folder, which several servers may share. A file is named by the SHA-256 of its native code, by the engine's fingerprint
 * and by its manifest; it is written beside and renamed, so that a name never stands for half a file. Runners hold links of their own, so
 * a file can be removed at any time.
 */
export async function openDiskStore(deps: {
  directory: string;
  maxBytes: number;
  /** Of one artifact. */
  maxArtifactBytes: number;
  /** Files that runners have mapped, which take their room also when they are removed; default none. */
  filesInUse?: () => ReadonlySet<string>;
  nowMs: () => number;
  atStep?: AtStep;
}): Promise<DiskStore> {
  const [blobs, incoming] = DISK_STORE_FOLDERS.map((name) => join(deps.directory, name)) as [string, string];
  await mkdir(blobs, { recursive: true, mode: 0o700 });
  await mkdir(incoming, { recursive: true, mode: 0o700 });
  await removeStale(incoming, deps.nowMs() - STALE_TEMPORARY_MS);
  const atStep = deps.atStep ?? (() => undefined);
  const verified = new LRUCache<string, StoredArtifact>({ max: MAX_VERIFIED });
  const room = createDiskRoom({
    folder: blobs,
    maxBytes: deps.maxBytes,
    isOurs: (name) => BLOB.test(name),
    filesInUse: deps.filesInUse ?? (() => new Set()),
    nowMs: deps.nowMs,
    onEvicted: (path) => verified.delete(basename(path)),
  });

  const open = async (blob: string, accept: AcceptTrailer): Promise<StoredArtifact | undefined> => {
    if (!BLOB.test(blob)) return undefined;
    const path = join(blobs, blob);
    const stats = await stat(path).catch(() => undefined);
    if (stats === undefined) {
      verified.delete(blob);
      return undefined;
    }
    try {
      const known = verified.get(blob);
      if (known !== undefined) {
        await accept(await readTrailer(path));
        return known;
      }
      const { manifest, trailer } = await verifyFile(path, accept);
      if (blobName(trailer) !== blob) throw new ArtifactError('not_an_artifact', 'it has the name of another');
      return remember({ blob, path, manifest });
    } catch (error) {
      verified.delete(blob);
      const refused = error instanceof ArtifactError || error instanceof InvocationError;
      if (!refused && !isLinkOrGone(error)) throw error;
      // What is as its signer wrote it stays: another server may accept it. The rest is healed by getting it again.
      if (await isDamaged(path, blob)) await rm(path, { force: true, recursive: true }).catch(() => undefined);
      return undefined;
    }
  };

  const remember = (stored: StoredArtifact): StoredArtifact => {
    verified.set(stored.blob, stored);
    return stored;
  };

  /** `early` is the trailer where it was read before the rest. */
  const store = async (
    content: AsyncIterable<Buffer>,
    bytes: number,
    early: ArtifactTrailer | undefined,
    accept: AcceptTrailer,
  ): Promise<StoredArtifact> => {
    await room.make(bytes).catch((error) => {
      throw asDiskError(error, 'no room can be made in the state folder');
    });
    const temporary = join(incoming, `${process.pid}-${randomBytes(8).toString('hex')}`);
    try {
      const written = await writeIncoming(temporary, content, atStep);
      const trailer = parseTail(written.end(), written.bytes());
      if (early !== undefined && !trailer.manifestBytes.equals(early.manifestBytes)) throw new ObjectChangedError();
      const manifest = await accept(trailer);
      checkDigest(written.of(trailer.elfBytes), manifest);
      atStep('verified');
      const blob = blobName(trailer);
      const path = join(blobs, blob);
      publishIncoming(temporary, path);
      atStep('renamed');
      return remember({ blob, path, manifest });
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
  };

  const admit = async (object: IncomingObject, accept: AcceptTrailer): Promise<StoredArtifact> => {
    try {
      checkSize(object.bytes, deps.maxArtifactBytes);
      const chunks = peekable(object.body);
      const head = await chunks.peek(MAX_ZSTD_HEAD_BYTES);
      if (isZstd(head)) {
        const bytes = Math.max(object.bytes, zstdContentBytes(head) ?? 0);
        checkSize(bytes, deps.maxArtifactBytes);
        const content = room.makeFor(decompressZstd(chunks, deps.maxArtifactBytes), bytes);
        return await store(content, bytes, undefined, accept);
      }
      const early = object.bytes <= ONE_PASS_BYTES ? undefined : await readEnd(object);
      if (early !== undefined) await accept(early);
      // Also where the code is on the disk already: an object whose code is not what its trailer says is refused by every server alike.
      return await store(chunks, object.bytes, early, accept);
    } finally {
      object.body.destroy();
    }
  };

  return { admit, open, used: room.used, close: room.close };
}

async function readEnd(object: IncomingObject): Promise<ArtifactTrailer> {
  const tail = await object.readTail(MAX_TRAILER_BYTES);
  if (tail === undefined) throw new ObjectChangedError();
  return parseTail(tail, object.bytes);
}

/** The manifest is part of the name, as the same code may come with another policy, and so is the engine that the code is for. */
function blobName({ manifest, manifestBytes }: ArtifactTrailer): string {
  const digest = createHash('sha256').update(manifestBytes).digest('hex').slice(0, 16);
  return `${manifest.elf.sha256}-${engineFingerprint(manifest.engine)}-${digest}.cwasm`;
}

function checkSize(bytes: number, maxBytes: number): void {
  if (bytes <= maxBytes) return;
  throw new ArtifactError(
    'not_an_artifact',
    `artifact refused: it has ${bytes} bytes, this server takes at most ${maxBytes}`,
  );
}

/** Whether a file is not what its name stands for, whoever may have signed it. */
async function isDamaged(path: string, blob: string): Promise<boolean> {
  try {
    const { trailer } = await verifyFile(path, (candidate) => Promise.resolve(candidate.manifest));
    return blobName(trailer) !== blob;
  } catch {
    return true;
  }
}

function isLinkOrGone(error: unknown): boolean {
  return ['ELOOP', 'ENOENT'].includes(String((error as NodeJS.ErrnoException).code));
}

async function removeStale(directory: string, beforeMs: number): Promise<void> {
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    const stats = await stat(path).catch(() => undefined);
    if (stats !== undefined && stats.mtimeMs < beforeMs) await rm(path, { force: true, recursive: true });
  }
}
