import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ArtifactError } from './artifact-error.ts';
import type { ArtifactManifest } from './artifact-manifest.ts';
import { verifyManifest, type ArtifactTrailer } from './artifact-trailer.ts';
import { replaceFile } from './atomic-file.ts';
import { loadTrustedKeys, type TrustedKeys } from './key-store.ts';
import { KeyStoreError } from './public-key.ts';

/** What is trusted and what is not any more, as one reading of a key store has it. */
export type Trust = {
  readonly keys: TrustedKeys;
  /** Ids of keys, and digests of code or of sources. */
  readonly revoked: { readonly keys: ReadonlySet<string>; readonly artifacts: ReadonlySet<string> };
};

/** What can be revoked. */
export type RevocationKind = 'key' | 'artifact';

const MAX_LIST_BYTES = 16 * 1024 * 1024;
const LINE = /^(key) ([0-9a-f]{16})$|^(artifact) ([0-9a-f]{64})$/;

/**
 * Reads the trusted keys and the revocation list, `revoked`: a line for each, `key ID` or `artifact SHA256`, where `#` begins a comment.
 *
 * @throws KeyStoreError naming a line that is neither: a list that cannot be read must not be taken for an empty one
 */
export async function loadTrust(folder: string): Promise<Trust> {
  const keys = new Set<string>();
  const artifacts = new Set<string>();
  const path = revocationListPath(folder);
  for (const [index, line] of (await readList(path)).entries()) {
    const text = line.replace(/#.*$/, '').trim();
    if (text === '') continue;
    const match = LINE.exec(text);
    if (match === null) {
      throw new KeyStoreError(`line ${index + 1} of ${path} is neither "key ID" nor "artifact SHA256"`);
    }
    if (match[1] === 'key') keys.add(match[2]!);
    else artifacts.add(match[4]!);
  }
  return { keys: await loadTrustedKeys(folder), revoked: { keys, artifacts } };
}

/** Adds a line to the revocation list, unless it is there. @returns whether it was added */
export async function revoke(folder: string, kind: RevocationKind, id: string, comment: string): Promise<boolean> {
  const path = revocationListPath(folder);
  if (!LINE.test(`${kind} ${id}`)) {
    throw new KeyStoreError(`"${id}" is no ${kind === 'key' ? 'id of a key' : 'SHA-256'}: hex digits are needed`);
  }
  const trust = await loadTrust(folder);
  if ((kind === 'key' ? trust.revoked.keys : trust.revoked.artifacts).has(id)) return false;
  const lines = (await readList(path)).filter((line, index, all) => line !== '' || index < all.length - 1);
  await replaceFile(path, `${[...lines, `${kind} ${id} # ${comment}`].join('\n')}\n`, 0o644);
  return true;
}

/**
 * Whether something signed may run now: its key is trusted, within its time and not revoked, nor is the code. The signature itself is not looked at.
 * @returns why not, or undefined
 */
export function refusalOf(manifest: ArtifactManifest, trust: Trust, nowMs: number): ArtifactError | undefined {
  const key = trust.keys.get(manifest.key);
  if (key === undefined) {
    return refused(`it was signed by key ${manifest.key}, which is not trusted here (see: playa keys trust)`);
  }
  const named = `key ${manifest.key} ("${key.name}")`;
  if (trust.revoked.keys.has(manifest.key)) return refused(`${named}, which signed it, is revoked`);
  const { notBeforeMs = -Infinity, notAfterMs = Infinity } = key;
  if (nowMs < notBeforeMs) return refused(`${named}, which signed it, is not valid yet`);
  if (nowMs > notAfterMs) return refused(`${named}, which signed it, is not valid any more`);
  const digests = [manifest.elf.sha256, manifest.source.sha256];
  if (digests.some((digest) => trust.revoked.artifacts.has(digest))) return refused('it is revoked');
  return undefined;
}

/** Checks signature and trust. @throws ArtifactError `signature`, or `format` when the manifest cannot be parsed */
export function verifyTrailer(trailer: ArtifactTrailer, trust: Trust, nowMs: number): ArtifactManifest {
  const { manifest } = verifyManifest(trailer.manifestBytes, trailer.signature, trust.keys);
  const refusal = refusalOf(manifest, trust, nowMs);
  if (refusal !== undefined) throw refusal;
  return manifest;
}

/** Where the revocation list of a key store is. */
export function revocationListPath(folder: string): string {
  return join(folder, 'revoked');
}

async function readList(path: string): Promise<string[]> {
  try {
    const { size } = await stat(path);
    if (size > MAX_LIST_BYTES) throw new KeyStoreError(`${path} is too long for a revocation list (${size} bytes)`);
    return (await readFile(path, 'utf8')).split('\n');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return [];
  }
}

function refused(why: string): ArtifactError {
  return new ArtifactError('signature', `artifact refused: ${why}`);
}
