import { ArtifactError } from './artifact-error.ts';

/** One version of a function in a bucket. */
export type DeployedVersion = {
  /** SHA-256 of the whole artifact, not compressed, as hex. */
  readonly sha256: string;
  /** RFC 3339. */
  readonly deployedAt: string;
};

/**
 * What `playa deploy` writes under a function's name: which of the artifacts that the bucket keeps by digest is the present one. It is
 * changed by compare-and-swap, the artifacts never.
 */
export type FunctionPointer = {
  readonly format: 1;
  readonly present: DeployedVersion;
  /** Newest first, at most {@link MAX_PREVIOUS}. */
  readonly previous: readonly DeployedVersion[];
};

/** The longest pointer. What is longer is an artifact. */
export const MAX_POINTER_BYTES = 16 * 1024;

/** So many earlier versions are remembered. */
export const MAX_PREVIOUS = 50;

/** Where the bucket keeps artifacts by digest. No function has such a name: a segment that begins with a dot is refused. */
export const VERSIONS_PREFIX = '.playa/artifacts/';

const SHA256 = /^[0-9a-f]{64}$/;

/** The key of an artifact. */
export function versionKey(sha256: string): string {
  return `${VERSIONS_PREFIX}${sha256}.cwasm`;
}

/** What marks an artifact that is about to be removed: whoever has just named it in a pointer waits until the mark is gone. */
export function pruneMarkKey(sha256: string): string {
  return `.playa/pruning/${sha256}.json`;
}

/** Whether an object is a pointer rather than an artifact, by its first bytes. */
export function isPointer(head: Uint8Array): boolean {
  return head[0] === 0x7b;
}

/** The bytes of a pointer. */
export function encodePointer(pointer: FunctionPointer): Buffer {
  return Buffer.from(`${JSON.stringify({ playa: 'function', ...pointer })}\n`);
}

/** @throws ArtifactError `not_an_artifact` when it is damaged, `format` when it is of another format */
export function parsePointer(bytes: Uint8Array): FunctionPointer {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Record<string, unknown>;
  } catch (cause) {
    throw new ArtifactError('not_an_artifact', 'not an artifact: it begins like a pointer but is not one', { cause });
  }
  if (value['playa'] !== 'function') {
    throw new ArtifactError('not_an_artifact', 'not an artifact: it is some JSON; upload a function with playa deploy');
  }
  if (value['format'] !== 1) {
    throw new ArtifactError(
      'format',
      `the pointer has format ${JSON.stringify(value['format'])}; this version reads 1`,
    );
  }
  const previous = Array.isArray(value['previous']) ? value['previous'] : [];
  return { format: 1, present: asVersion(value['present']), previous: previous.slice(0, MAX_PREVIOUS).map(asVersion) };
}

function asVersion(value: unknown): DeployedVersion {
  const { sha256, deployedAt } = (value ?? {}) as Record<string, unknown>;
  if (typeof sha256 !== 'string' || !SHA256.test(sha256) || typeof deployedAt !== 'string') {
    throw new ArtifactError('format', 'malformed pointer: a version lacks its digest; deploy the function again');
  }
  return { sha256, deployedAt };
}
