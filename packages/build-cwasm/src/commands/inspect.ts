import { open } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { ArtifactError } from '@playa/common/artifact-error';
import type { ArtifactTrailer } from '@playa/common/artifact-trailer';
import { readTrailer, verifyManifest } from '@playa/common/artifact-trailer';
import { keyStoreFolder, loadTrustedKeys } from '@playa/common/key-store';
import { BuildError } from '../build-error.ts';
import type { OptionRow, ParsedOptions } from '../options.ts';
import type { Terminal } from '../terminal.ts';

export const INSPECT_OPTIONS: readonly OptionRow[] = [
  { name: 'keys', value: 'FOLDER', help: 'the key store (default: $PLAYA_KEYS, else ~/.config/playa/keys)' },
  { name: 'json', help: 'write one JSON object to stdout and nothing else, also for an error' },
  { name: 'help', short: 'h', help: 'show this text' },
];

/** What holds about an artifact. */
export type Inspection = {
  readonly trailer: ArtifactTrailer;
  /** Name of the trusted key, or undefined when the signature does not hold. */
  readonly signedBy: string | undefined;
  /** Why the artifact would be refused; undefined when it would be loaded. */
  readonly refusal: string | undefined;
};

/**
 * `build-cwasm inspect FILE`: prints the manifest and whether signature and code hold.
 *
 * @throws BuildError `artifact_refused` after printing, when they do not hold; `not_an_artifact` when there is nothing to print
 */
export async function runInspect(options: ParsedOptions, terminal: Terminal): Promise<void> {
  const [path, ...more] = options.positionals;
  if (path === undefined || more.length > 0) {
    throw new BuildError('usage', 'usage', 'name one artifact to inspect', { hint: 'build-cwasm inspect FILE' });
  }
  const { trailer, signedBy, refusal } = await inspectArtifact(
    path,
    options.text('keys') ?? keyStoreFolder(terminal.env),
  );
  if (options.isSet('json')) {
    const { manifest } = trailer;
    terminal.stdout.write(
      `${JSON.stringify({ ok: refusal === undefined, signedBy: signedBy ?? null, refusal: refusal ?? null, manifest })}\n`,
    );
  } else {
    terminal.stdout.write(`${JSON.stringify(trailer.manifest, null, 2)}\n`);
    const verdict = refusal ?? `signature and code hold; signed by the trusted key "${signedBy}"`;
    terminal.stdout.write(`${verdict}\n`);
  }
  if (refusal !== undefined) throw new BuildError('refused', 'artifact_refused', refusal);
}

/** Reads an artifact and checks signature and code as the dispatcher does. */
export async function inspectArtifact(path: string, keysFolder: string): Promise<Inspection> {
  const handle = await open(path).catch((cause: NodeJS.ErrnoException) => {
    throw new BuildError('refused', 'artifact_missing', `${path} cannot be read (${cause.code})`, { cause });
  });
  try {
    const trailer = await readTrailer(handle).catch((cause: unknown) => {
      if (!(cause instanceof ArtifactError)) throw cause;
      throw new BuildError('refused', 'not_an_artifact', `${path}: ${cause.message}`, { cause });
    });
    return { trailer, ...(await check(trailer, handle, keysFolder)) };
  } finally {
    await handle.close();
  }
}

async function check(
  trailer: ArtifactTrailer,
  handle: FileHandle,
  keysFolder: string,
): Promise<Omit<Inspection, 'trailer'>> {
  let signedBy: string;
  try {
    signedBy = verifyManifest(trailer.manifestBytes, trailer.signature, await loadTrustedKeys(keysFolder)).trustedKey
      .name;
  } catch (error) {
    if (!(error instanceof ArtifactError)) throw error;
    return { signedBy: undefined, refusal: error.message };
  }
  const hash = createHash('sha256');
  for await (const chunk of handle.createReadStream({ start: 0, end: trailer.elfBytes - 1, autoClose: false })) {
    hash.update(chunk as Buffer);
  }
  if (hash.digest('hex') !== trailer.manifest.elf.sha256) {
    return { signedBy, refusal: 'artifact refused: the code is not the one that was signed' };
  }
  return { signedBy, refusal: undefined };
}
