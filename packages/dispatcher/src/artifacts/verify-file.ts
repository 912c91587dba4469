import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { ArtifactError } from '@playa/common/artifact-error';
import { readTrailer, type ArtifactManifest, type ArtifactTrailer } from '@playa/common/artifact-trailer';

/** Says whether what is signed may run here, from the trailer alone. @throws {ArtifactError | InvocationError} */
export type AcceptTrailer = (trailer: ArtifactTrailer) => Promise<ArtifactManifest>;

const HASH_CHUNK_BYTES = 1024 * 1024;

/**
 * Verifies a file from its trailer to its last byte of code.
 * @throws {ArtifactError} when it is not what was signed, or not accepted; errors of the file system as they are
 */
export async function verifyFile(
  path: string,
  accept: AcceptTrailer,
): Promise<{ manifest: ArtifactManifest; trailer: ArtifactTrailer; bytes: number }> {
  // No link is followed and nothing is waited for: what lies in the folder may be foreign.
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const trailer = await readTrailer(file);
    const manifest = await accept(trailer);
    const hash = createHash('sha256');
    const chunk = Buffer.allocUnsafe(Math.min(HASH_CHUNK_BYTES, trailer.elfBytes));
    let position = 0;
    while (position < trailer.elfBytes) {
      const wanted = Math.min(chunk.length, trailer.elfBytes - position);
      const { bytesRead } = await file.read(chunk, 0, wanted, position);
      if (bytesRead === 0) throw new ArtifactError('not_an_artifact', 'not an artifact: it was truncated meanwhile');
      hash.update(chunk.subarray(0, bytesRead));
      position += bytesRead;
    }
    checkDigest(hash.digest('hex'), manifest);
    return { manifest, trailer, bytes: (await file.stat()).size };
  } finally {
    await file.close();
  }
}

/** @throws {ArtifactError} `signature` when the code is another than the one that was signed */
export function checkDigest(sha256: string, manifest: ArtifactManifest): void {
  if (sha256 === manifest.elf.sha256) return;
  throw new ArtifactError(
    'signature',
    'artifact refused: its code is not what was signed; it was changed after it was built',
  );
}
