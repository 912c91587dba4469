/**
 * Why a file is not accepted as an artifact.
 *
 * - `not_an_artifact`: empty, truncated, random, or without a trailer
 * - `format`: a trailer of an unknown format, or a manifest that breaks docs/artifact.md
 * - `signature`: not signed, signed by a key that is not trusted, or changed after it was signed
 */
export type ArtifactRefusal = 'not_an_artifact' | 'format' | 'signature';

/** A file was refused as an artifact; `reason` is for programs, `message` for people. */
export class ArtifactError extends Error {
  override readonly name = 'ArtifactError';
  readonly reason: ArtifactRefusal;

  constructor(reason: ArtifactRefusal, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}
