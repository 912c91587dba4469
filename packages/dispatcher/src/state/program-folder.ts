import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, linkSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Programs that sandboxes run, by their content, in a folder that several servers share. */
export type ProgramFolder = {
  /** Has a folder for each server, with links to what it uses. */
  users: string;
  /** Puts content there and returns its path; it stays until this server leaves. */
  install: (name: string, content: Buffer) => string;
  /** Removes what no server uses: each new build of the runner would stay otherwise. */
  removeUnused: () => void;
  /** This server uses nothing any more. */
  leave: () => void;
};

/** A process that was killed while it wrote leaves a file with more behind the digest. */
const STALE_MS = 60 * 60 * 1000;
const INSTALLED = /^[a-z-]+-[0-9a-f]{32}$/;
/** Another server may remove a file between its making and its linking. */
const ATTEMPTS = 10;

/** Opens the folder, which is there already, for the server of that name. */
export function openProgramFolder(folder: string, user: string): ProgramFolder {
  const users = join(folder, 'users');
  const own = join(users, user);
  mkdirSync(users, { recursive: true, mode: 0o700 });
  rmSync(own, { recursive: true, force: true });
  mkdirSync(own, { mode: 0o700 });

  return {
    users,
    install: (name, content) => {
      const digest = createHash('sha256').update(content).digest('hex').slice(0, 32);
      const file = `${name}-${digest}`;
      const path = join(folder, file);
      for (let attempt = 1; ; attempt++) {
        write(path, content);
        try {
          // The number of links tells whether a file is in use, also to servers that know nothing of this one.
          linkSync(path, join(own, file));
          return path;
        } catch (error) {
          const { code } = error as NodeJS.ErrnoException;
          if (code === 'EEXIST') return path;
          if (code !== 'ENOENT' || attempt >= ATTEMPTS) throw error;
        }
      }
    },
    removeUnused: () => {
      for (const name of readdirSync(folder)) {
        const path = join(folder, name);
        const stats = statSync(path, { throwIfNoEntry: false });
        if (stats === undefined || !stats.isFile()) continue;
        const unused = INSTALLED.test(name) ? stats.nlink === 1 : Date.now() - stats.mtimeMs > STALE_MS;
        if (unused) removeUnlinked(path);
      }
    },
    leave: () => rmSync(own, { recursive: true, force: true }),
  };
}

/** Takes the file away first, so that no server can begin to use it meanwhile, and puts it back where one has just begun to. */
function removeUnlinked(path: string): void {
  const aside = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    // Another server has removed it.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (statSync(aside).nlink > 1) renameSync(aside, path);
  else rmSync(aside);
}

function write(path: string, content: Buffer): void {
  if (statSync(path, { throwIfNoEntry: false })?.size === content.length) return;
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  writeFileSync(temporary, content, { mode: 0o555, flag: 'wx' });
  chmodSync(temporary, 0o555);
  renameSync(temporary, path);
}
