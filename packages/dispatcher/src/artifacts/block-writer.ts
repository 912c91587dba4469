import { write } from 'node:fs';
import { promisify } from 'node:util';
import { asDiskError } from './disk-error.ts';

/** Writes a file in large blocks. */
export type BlockWriter = {
  /**
   * Takes a chunk, which must stay as it is until this has settled; what is large is being written by the time that this returns.
   * @throws {DiskError} also for a block before it
   */
  write: (chunk: Buffer) => Promise<void>;
  /** Writes what is left and waits for all of it. @throws {DiskError} */
  end: () => Promise<void>;
};

/** Pieces come as the network has them; each write is a way to another thread and back. */
export const BLOCK_BYTES = 512 * 1024;
/** Smaller pieces are put together. */
const PIECE_BYTES = 128 * 1024;

const writeTo = promisify(write);

/** A writer with two blocks for what is small: one is filled while the other is being written, and neither is made anew. */
export function createBlockWriter(file: number): BlockWriter {
  let filling: Buffer | undefined;
  let spare: Buffer | undefined;
  let filledBytes = 0;
  let writing: Promise<void> | undefined;

  const flush = async (): Promise<void> => {
    await writing;
    writing = undefined;
    if (filling === undefined || filledBytes === 0) return;
    writing = writeWhole(file, filling.subarray(0, filledBytes));
    // Whoever awaits it gets the error; until then nobody may be waiting.
    writing.catch(() => undefined);
    [filling, spare] = [spare, filling];
    filledBytes = 0;
  };
  const end = async (): Promise<void> => {
    await flush();
    await writing;
    writing = undefined;
  };

  return {
    write: async (chunk) => {
      if (chunk.length >= PIECE_BYTES) {
        if (filledBytes > 0 || writing !== undefined) await end();
        return writeWhole(file, chunk);
      }
      for (let at = 0; at < chunk.length;) {
        filling ??= Buffer.allocUnsafeSlow(BLOCK_BYTES);
        const taken = chunk.copy(filling, filledBytes, at);
        filledBytes += taken;
        at += taken;
        if (filledBytes === BLOCK_BYTES) await flush();
      }
    },
    end,
  };
}

async function writeWhole(file: number, block: Buffer): Promise<void> {
  try {
    for (let at = 0; at < block.length;) {
      const { bytesWritten } = await writeTo(file, block, at, block.length - at);
      at += bytesWritten;
    }
  } catch (error) {
    throw asDiskError(error, 'an artifact cannot be written to the state folder');
  }
}
