import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { sign, verify } from 'node:crypto';
import { ArtifactError } from './artifact-error.ts';
import type { ArtifactManifest } from './artifact-manifest.ts';
import { ARTIFACT_FORMAT, MAX_MANIFEST_BYTES, parseManifest } from './artifact-manifest.ts';
import type { SigningKey, TrustedKey, TrustedKeys } from './key-store.ts';

export type { ArtifactManifest } from './artifact-manifest.ts';

/** Length of the footer in bytes. */
export const FOOTER_BYTES = 24;

/** Length of an Ed25519 signature in bytes. */
export const SIGNATURE_BYTES = 64;

const MAGIC = Buffer.from('PLAYACW\n', 'ascii');
// Keeps a signature made for an artifact from being one for anything else that the same key may sign later.
const SIGNED_PREFIX = Buffer.from('playa-artifact-v1\n', 'ascii');

/** The longest trailer in bytes: so much of an artifact's end holds all of it that is not code. */
export const MAX_TRAILER_BYTES = MAX_MANIFEST_BYTES + SIGNATURE_BYTES + FOOTER_BYTES;

/** The trailer of an artifact. Nothing in it is to be believed before `verifyManifest` has returned. */
export type ArtifactTrailer = {
  readonly manifest: ArtifactManifest;
  /** The manifest exactly as it was signed. */
  readonly manifestBytes: Buffer;
  readonly signature: Buffer;
  /** The ELF is the first so many bytes of the file. */
  readonly elfBytes: number;
};

/** Where the parts of an artifact lie, in bytes from the start of the file. */
export type ArtifactLayout = { readonly elfBytes: number; readonly manifestBytes: number };

/**
 * Lays out manifest, signature and footer as they follow the ELF.
 *
 * @throws ArtifactError `format` when the manifest is longer than MAX_MANIFEST_BYTES
 */
export function encodeTrailer(manifestBytes: Uint8Array, signature: Uint8Array, elfBytes: number): Buffer {
  if (manifestBytes.length === 0 || manifestBytes.length > MAX_MANIFEST_BYTES) {
    throw new ArtifactError(
      'format',
      `the manifest has ${manifestBytes.length} bytes; at most ${MAX_MANIFEST_BYTES} are allowed`,
    );
  }
  if (signature.length !== SIGNATURE_BYTES) throw new RangeError(`a signature has ${SIGNATURE_BYTES} bytes`);
  const footer = Buffer.alloc(FOOTER_BYTES);
  footer.writeBigUInt64LE(BigInt(elfBytes), 0);
  footer.writeUInt32LE(manifestBytes.length, 8);
  footer.writeUInt32LE(ARTIFACT_FORMAT, 12);
  MAGIC.copy(footer, 16);
  return Buffer.concat([manifestBytes, signature, footer]);
}

/**
 * Completes a manifest with format and key id, signs it, and returns the bytes to append to the ELF.
 * The result is read back before it is returned, so that nothing is ever written that would be refused.
 *
 * @throws ArtifactError `format` when a member breaks docs/artifact.md or the manifest is too long
 */
export function signArtifact(manifest: Omit<ArtifactManifest, 'format' | 'key'>, signingKey: SigningKey): Buffer {
  const complete = { format: ARTIFACT_FORMAT, ...manifest, key: signingKey.id };
  const manifestBytes = Buffer.from(JSON.stringify(complete));
  parseManifest(manifestBytes);
  const signature = sign(null, Buffer.concat([SIGNED_PREFIX, manifestBytes]), signingKey.privateKey);
  return encodeTrailer(manifestBytes, signature, manifest.elf.bytes);
}

/**
 * Reads the last FOOTER_BYTES of a file.
 *
 * @param footer exactly FOOTER_BYTES
 * @param fileBytes the size of the whole file
 * @throws ArtifactError `not_an_artifact` when there is no trailer or the sizes do not add up, `format` when it is of another format
 */
export function parseFooter(footer: Uint8Array, fileBytes: number): ArtifactLayout {
  const view = Buffer.from(footer.buffer, footer.byteOffset, footer.byteLength);
  if (view.length !== FOOTER_BYTES || !view.subarray(16).equals(MAGIC)) {
    throw notAnArtifact('it has no Playa trailer, or its end is missing');
  }
  const format = view.readUInt32LE(12);
  if (format !== ARTIFACT_FORMAT) {
    throw new ArtifactError(
      'format',
      `the artifact has format ${format}; this version reads format ${ARTIFACT_FORMAT}`,
    );
  }
  const elfBytes = view.readBigUInt64LE(0);
  const manifestBytes = view.readUInt32LE(8);
  if (manifestBytes === 0 || manifestBytes > MAX_MANIFEST_BYTES || elfBytes === 0n) {
    throw notAnArtifact('its trailer names impossible lengths');
  }
  // In BigInt: a forged length near 2^64 must not be rounded into the right sum.
  if (elfBytes + BigInt(manifestBytes + SIGNATURE_BYTES + FOOTER_BYTES) !== BigInt(fileBytes)) {
    throw notAnArtifact(`its parts do not add up to its ${fileBytes} bytes; it was truncated or changed`);
  }
  return { elfBytes: Number(elfBytes), manifestBytes };
}

/**
 * Reads footer, manifest and signature of a file, and no other byte of it: at most 65,624 bytes, however large it is.
 * The signature is not checked here (`verifyManifest`), nor is the ELF's digest, which the caller takes while it streams.
 *
 * @param file path, or a handle that stays open
 * @throws ArtifactError `not_an_artifact` or `format`; errors of the file system as they are
 */
export async function readTrailer(file: FileHandle | string): Promise<ArtifactTrailer> {
  if (typeof file !== 'string') return readTrailerOf(file);
  // Not blocking: a named pipe in a bucket must not hang its reader.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return await readTrailerOf(handle);
  } finally {
    await handle.close();
  }
}

/**
 * Checks the signature and returns the manifest, which may be believed from here on.
 *
 * @param manifestBytes the manifest as it was read
 * @param signature 64 bytes
 * @param trustedKeys from `loadTrustedKeys`
 * @throws ArtifactError `signature`, or `format` when the manifest cannot be parsed
 */
export function verifyManifest(
  manifestBytes: Uint8Array,
  signature: Uint8Array,
  trustedKeys: TrustedKeys,
): { readonly manifest: ArtifactManifest; readonly trustedKey: TrustedKey } {
  if (signature.every((byte) => byte === 0)) throw badSignature('it is not signed');
  const manifest = parseManifest(manifestBytes);
  const trustedKey = trustedKeys.get(manifest.key);
  if (trustedKey === undefined) {
    throw badSignature(`it was signed by key ${manifest.key}, which is not trusted here (see: playa keys trust)`);
  }
  if (!verify(null, Buffer.concat([SIGNED_PREFIX, manifestBytes]), trustedKey.publicKey, signature)) {
    throw badSignature(`its signature does not hold under key ${manifest.key}; it was changed after it was built`);
  }
  return { manifest, trustedKey };
}

/**
 * Reads the trailer out of the end of a file, where it is read from elsewhere than a local disk. As with `readTrailer` the signature is not checked.
 *
 * @param tail the last MAX_TRAILER_BYTES of the file, or all of a shorter one
 * @param fileBytes the size of the whole file
 * @throws ArtifactError `not_an_artifact` or `format`
 */
export function parseTail(tail: Buffer, fileBytes: number): ArtifactTrailer {
  if (fileBytes === 0) throw notAnArtifact('it is empty');
  if (tail.length < FOOTER_BYTES) throw notAnArtifact('it is too short to have a trailer');
  const layout = parseFooter(tail.subarray(tail.length - FOOTER_BYTES), fileBytes);
  const signedBytes = layout.manifestBytes + SIGNATURE_BYTES;
  const from = tail.length - FOOTER_BYTES - signedBytes;
  if (from < 0) throw notAnArtifact('its trailer is longer than what was read of it');
  return parseSigned(tail.subarray(from, from + signedBytes), layout);
}

async function readTrailerOf(handle: FileHandle): Promise<ArtifactTrailer> {
  const stats = await handle.stat();
  if (!stats.isFile()) throw notAnArtifact(stats.isDirectory() ? 'it is a folder' : 'it is not a regular file');
  if (stats.size === 0) throw notAnArtifact('it is empty');
  if (stats.size < FOOTER_BYTES) throw notAnArtifact('it is too short to have a trailer');
  const footer = await readExactly(handle, FOOTER_BYTES, stats.size - FOOTER_BYTES);
  const layout = parseFooter(footer, stats.size);
  return parseSigned(await readExactly(handle, layout.manifestBytes + SIGNATURE_BYTES, layout.elfBytes), layout);
}

function parseSigned(signed: Buffer, layout: ArtifactLayout): ArtifactTrailer {
  const manifestBytes = signed.subarray(0, layout.manifestBytes);
  const manifest = parseManifest(manifestBytes);
  if (manifest.elf.bytes !== layout.elfBytes) {
    throw new ArtifactError('format', 'malformed artifact: manifest and footer name different lengths of the ELF');
  }
  return { manifest, manifestBytes, signature: signed.subarray(layout.manifestBytes), elfBytes: layout.elfBytes };
}

async function readExactly(handle: FileHandle, bytes: number, position: number): Promise<Buffer> {
  const buffer = Buffer.alloc(bytes);
  let filled = 0;
  while (filled < bytes) {
    const { bytesRead } = await handle.read(buffer, filled, bytes - filled, position + filled);
    if (bytesRead === 0) throw notAnArtifact('it was truncated while it was read');
    filled += bytesRead;
  }
  return buffer;
}

function notAnArtifact(why: string): ArtifactError {
  return new ArtifactError('not_an_artifact', `not an artifact: ${why}; build one with build-cwasm`);
}

function badSignature(why: string): ArtifactError {
  return new ArtifactError('signature', `artifact refused: ${why}`);
}
