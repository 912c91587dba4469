import { spawnSync } from 'node:child_process';
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeTemporaryFolder } from './temporary-folder.ts';

/** What is done before the program, which follows as further arguments. */
const MOUNTS = {
  small: 'mount -t tmpfs -o "mode=755,size=$2" none "$1"',
  'read-only': 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"',
};

/** Why no file system can be mounted here; `undefined` where one can. */
export function mountsMissing(): string | undefined {
  const { path, remove } = makeTemporaryFolder('mount');
  const [program, ...args] = [...underMount(path, 'small', '1m'), 'true'];
  const { status, stderr, error } = spawnSync(program!, args, { encoding: 'utf8' });
  remove();
  return status === 0 ? undefined : `no file system can be mounted: ${error?.message ?? stderr.trim()}`;
}

/**
 * A command that becomes the program behind it, which sees a small file system of its own in the place of a folder, or sees the folder read-only. Nobody else does;
 * it goes with the program. For whoever is not root in a user namespace, in which it has its own id again.
 * @param size of a small one, as mount(8) has it
 */
export function underMount(folder: string, kind: keyof typeof MOUNTS, size = ''): string[] {
  const [uid, gid] = [process.getuid!(), process.getgid!()];
  const isRoot = uid === 0;
  const namespaces = isRoot ? ['--mount'] : ['--map-root-user', '--mount'];
  const become = isRoot ? '' : `unshare --user --map-user=${uid} --map-group=${gid} -- `;
  return ['unshare', ...namespaces, 'sh', '-c', `${MOUNTS[kind]} && shift 2 && exec ${become}"$@"`, 'sh', folder, size];
}

/** A disk as a program under a mount sees it. */
export type SeenDisk = {
  /** Where this process sees what the program has there. */
  path: string;
  /** Takes all that is free but for so many bytes, in the place of what was taken before. */
  fill: (leftBytes: number) => void;
  /** Gives back what was taken. */
  free: () => void;
};

/** Looks at a folder with the eyes of a running program. */
export function seenBy(pid: number, folder: string): SeenDisk {
  const path = `/proc/${pid}/root${folder}`;
  const filler = join(path, 'filler');
  const free = (): void => rmSync(filler, { force: true });
  return {
    path,
    fill: (leftBytes) => {
      free();
      const { bavail, bsize } = statfsSync(path);
      writeFileSync(filler, Buffer.alloc(bavail * bsize - leftBytes));
    },
    free,
  };
}
