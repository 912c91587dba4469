import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Writes a file so that readers see the old content or the new one, never a part, also after a crash.
 * Makes the folder when it is missing.
 *
 * @param mode permission bits, whatever the umask
 */
export async function replaceFile(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  await withTemporary(path, content, mode, (temporary) => rename(temporary, path));
}

/**
 * Writes a file unless there is one: of several processes that do so at once exactly one wins, with a complete file.
 * Makes the folder when it is missing.
 *
 * @param mode permission bits, whatever the umask
 * @returns whether this call made the file
 */
export async function createFile(path: string, content: string | Uint8Array, mode: number): Promise<boolean> {
  let created = true;
  await withTemporary(path, content, mode, async (temporary) => {
    // Unlike a rename, a link fails where the name exists.
    await link(temporary, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
      created = false;
    });
  });
  return created;
}

async function withTemporary(
  path: string,
  content: string | Uint8Array,
  mode: number,
  publish: (temporary: string) => Promise<void>,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${randomBytes(8).toString('hex')}`;
  try {
    const handle = await open(temporary, 'wx', mode);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await chmod(temporary, mode);
    await publish(temporary);
  } finally {
    await rm(temporary, { force: true });
  }
}
