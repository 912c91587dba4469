import { createHash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { asDiskError } from './disk-error.ts';

/** What a write has come to; tests end the process at each of them. */
export type WriteStep = 'opened' | 'partly_written' | 'written' | 'synced' | 'verified' | 'renamed' | 'recorded';

/** Told of every step of a write. */
export type AtStep = (step: WriteStep) => void;

/** Readable for the sandbox's user, writable for nobody: it will be mapped as code. */
const MODE = 0o444;

/**
 * Writes content to a new file and flushes it to the disk; the file is removed again when anything fails.
 * @param hashedBytes the digest is taken of so many bytes from the start
 * @returns the digest as hex, and the length
 * @throws {DiskError} for the disk; errors of the content as they are
 */
export async function writeIncoming(
  path: string,
  content: AsyncIterable<Buffer>,
  hashedBytes: number,
  atStep: AtStep,
): Promise<{ sha256: string; bytes: number }> {
  const file = await open(path, 'wx', 0o600).catch(failWrite);
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    atStep('opened');
    for await (const chunk of content) {
      if (bytes < hashedBytes) hash.update(chunk.subarray(0, hashedBytes - bytes));
      await file.writeFile(chunk).catch(failWrite);
      bytes += chunk.length;
      atStep('partly_written');
    }
    atStep('written');
    // A umask must not take the right to read from the sandbox's user.
    await file.chmod(MODE).catch(failWrite);
    await file.sync().catch(failWrite);
    atStep('synced');
    return { sha256: hash.digest('hex'), bytes };
  } catch (error) {
    await rm(path, { force: true }).catch(() => undefined);
    throw error;
  } finally {
    await file.close();
  }
}

/** Gives a flushed file its final name, in the place of any that has it, and flushes the name. @throws {DiskError} */
export async function publishIncoming(path: string, final: string): Promise<void> {
  try {
    await rename(path, final);
    await syncFolder(dirname(final));
  } catch (error) {
    throw asDiskError(error, 'an artifact cannot be kept in the state folder');
  }
}

function failWrite(error: unknown): never {
  throw asDiskError(error, 'an artifact cannot be written to the state folder');
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
