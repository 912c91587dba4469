import type { FileHandle } from 'node:fs/promises';
import { asDiskError } from './disk-error.ts';

/** Writes a file in large blocks. */
export type BlockWriter = {
  /** Takes a chunk, which may be used again when this has returned. @throws {DiskError} also for a block before it */
  write: (chunk: Buffer) => Promise<void>;
  /** Writes what is left and waits for all of it. @throws {DiskError} */
  end: () => Promise<void>;
};

/** Pieces come as the network has them; each write is a way to another thread and back. */
export const BLOCK_BYTES = 512 * 1024;

/** A writer with two blocks: one is filled while the other is being written, or while the file is still being opened, and neither is made anew. */
export function createBlockWriter(file: Promise<FileHandle>): BlockWriter {
  let filling: Buffer | undefined;
  let spare: Buffer | undefined;
  let filledBytes = 0;
  let writing: Promise<void> = Promise.resolve();

  const flush = async (): Promise<void> => {
    await writing;
    if (filling === undefined || filledBytes === 0) return;
    const block = filling.subarray(0, filledBytes);
    writing = file.then((opened) => writeWhole(opened, block));
    // Whoever awaits it gets the error; until then nobody may be waiting.
    writing.catch(() => undefined);
    [filling, spare] = [spare, filling];
    filledBytes = 0;
  };

  return {
    write: async (chunk) => {
      for (let at = 0; at < chunk.length;) {
        filling ??= Buffer.allocUnsafeSlow(BLOCK_BYTES);
        const taken = chunk.copy(filling, filledBytes, at);
        filledBytes += taken;
        at += taken;
        if (filledBytes === BLOCK_BYTES) await flush();
      }
    },
    end: async () => {
      await flush();
      await writing;
    },
  };
}

async function writeWhole(file: FileHandle, block: Buffer): Promise<void> {
  try {
    for (let at = 0; at < block.length;) {
      const { bytesWritten } = await file.write(block, at, block.length - at);
      at += bytesWritten;
    }
  } catch (error) {
    throw asDiskError(error, 'an artifact cannot be written to the state folder');
  }
}
