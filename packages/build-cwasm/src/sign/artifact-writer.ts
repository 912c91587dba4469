import { randomBytes } from 'node:crypto';
import { access, constants, open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { ArtifactManifest } from '@playa/common/artifact-manifest';
import { signArtifact } from '@playa/common/artifact-trailer';
import { digestFile } from '@playa/common/digest-file';
import type { SigningKey } from '@playa/common/key-store';
import { BuildError } from '../build-error.ts';

/** A file beside the output, under a name of its own until it is complete. */
export type ArtifactWriter = {
  /** Where the compiler writes the ELF. */
  readonly temporaryPath: string;
  /** Appends the signed trailer and puts the file in the output's place at once. Returns its size in bytes. */
  readonly publish: (manifest: Omit<ArtifactManifest, 'format' | 'key' | 'elf'>, key: SigningKey) => Promise<number>;
  /** Deletes what was not published. */
  readonly discard: () => Promise<void>;
};

/**
 * Prepares writing an artifact, before any long work is done for it.
 *
 * @throws BuildError `output_is_folder`, `output_unwritable`
 */
export async function openArtifactWriter(output: string): Promise<ArtifactWriter> {
  const folder = dirname(output);
  await checkOutput(output, folder);
  // Led by a dot: a bucket folder that is being watched passes it over.
  const temporaryPath = join(folder, `.${basename(output)}.${randomBytes(6).toString('hex')}`);
  return {
    temporaryPath,
    publish: (manifest, key) => publish(temporaryPath, output, manifest, key),
    discard: () => rm(temporaryPath, { force: true }),
  };
}

async function publish(
  temporaryPath: string,
  output: string,
  manifest: Omit<ArtifactManifest, 'format' | 'key' | 'elf'>,
  key: SigningKey,
): Promise<number> {
  const elf = await digestFile(temporaryPath);
  const trailer = signArtifact({ ...manifest, elf }, key);
  try {
    const handle = await open(temporaryPath, 'a');
    try {
      await handle.writeFile(trailer);
      await handle.chmod(0o644);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporaryPath, output);
  } catch (cause) {
    throw unwritable(output, cause as NodeJS.ErrnoException);
  }
  return elf.bytes + trailer.length;
}

async function checkOutput(output: string, folder: string): Promise<void> {
  const present = await stat(output).catch(() => undefined);
  if (present?.isDirectory()) {
    throw new BuildError('output', 'output_is_folder', `${output} is a folder`, {
      hint: 'Name a file: -o FOLDER/NAME.cwasm',
    });
  }
  const parent = await stat(folder).catch(() => undefined);
  if (!parent?.isDirectory()) {
    throw new BuildError('output', 'output_unwritable', `the folder ${folder} does not exist`, {
      hint: `Make it: mkdir -p ${folder}`,
    });
  }
  await access(folder, constants.W_OK).catch((cause: NodeJS.ErrnoException) => {
    throw unwritable(output, cause);
  });
}

function unwritable(output: string, cause: NodeJS.ErrnoException): BuildError {
  if (cause.code === 'ENOSPC' || cause.code === 'EDQUOT') {
    return new BuildError('output', 'disk_full', `${output} cannot be written: the disk is full`, { cause });
  }
  return new BuildError('output', 'output_unwritable', `${output} cannot be written (${cause.code ?? cause.message})`, {
    cause,
  });
}
