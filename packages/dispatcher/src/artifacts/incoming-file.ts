import { closeSync, fchmodSync, openSync, renameSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { MAX_TRAILER_BYTES } from '@playa/common/artifact-trailer';
import { createBlockWriter } from './block-writer.ts';
import { createContentDigest, type ContentDigest } from './content-digest.ts';
import { asDiskError } from './disk-error.ts';

/** What a write has come to; tests end the process at each of them. */
export type WriteStep = 'opened' | 'partly_written' | 'written' | 'verified' | 'renamed' | 'recorded';

/** Told of every step of a write. */
export type AtStep = (step: WriteStep) => void;

/** Readable for the sandbox's user, writable for nobody: it will be mapped as code. */
const MODE = 0o444;

/**
 * Writes content to a new file; it is removed again when anything fails.
 * @returns its digest, with so much of the end as a trailer may have
 * @throws {DiskError} for the disk; errors of the content as they are
 */
export async function writeIncoming(
  path: string,
  content: AsyncIterable<Buffer>,
  atStep: AtStep,
): Promise<ContentDigest> {
  // Synchronous: it takes microseconds, and by way of another thread the content would wait.
  const file = openNew(path);
  const digest = createContentDigest(MAX_TRAILER_BYTES);
  const writer = createBlockWriter(file);
  let written: Promise<void> | undefined;
  try {
    atStep('opened');
    for await (const chunk of content) {
      // While a chunk is written it is hashed and the next one read: it holds for so long also where it is lent.
      await written;
      written = writer.write(chunk);
      // Whoever awaits it gets the error; until then nobody may be waiting.
      written.catch(() => undefined);
      digest.update(chunk);
      atStep('partly_written');
    }
    await written;
    await writer.end();
    atStep('written');
    // A umask must not take the right to read from the sandbox's user. On an open file this takes less than the way to another thread and back.
    fchmodSync(file, MODE);
    return digest;
  } catch (error) {
    await Promise.allSettled([written, writer.end()]);
    await rm(path, { force: true }).catch(() => undefined);
    throw error;
  } finally {
    closeSync(file);
  }
}

/**
 * Gives a file its final name, in the place of any that has it. It is flushed to the disk behind that: what the machine's own crash leaves under the name
 * is hashed before its first use in a process, so nobody has to wait for the disk.
 * @throws {DiskError}
 */
export function publishIncoming(path: string, final: string): void {
  try {
    // Synchronous, as above.
    renameSync(path, final);
    void flush(final);
  } catch (error) {
    throw asDiskError(error, 'an artifact cannot be kept in the state folder');
  }
}

function openNew(path: string): number {
  try {
    return openSync(path, 'wx', 0o600);
  } catch (error) {
    throw asDiskError(error, 'an artifact cannot be written to the state folder');
  }
}

async function flush(path: string): Promise<void> {
  try {
    for (const each of [path, dirname(path)]) {
      const handle = await open(each, 'r');
      await handle.sync().finally(() => handle.close());
    }
  } catch {
    // Evicted meanwhile, or a disk that fails: the next process that hashes it finds out.
  }
}
