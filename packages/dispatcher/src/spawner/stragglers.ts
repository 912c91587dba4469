import { readdirSync, readFileSync } from 'node:fs';

/** When to look, in milliseconds after the spawner's end: a process that was just being forked shows up later. */
const LOOKS_MS = [0, 50, 250, 1_000, 3_000];

/**
 * Kills what is left of sandboxes whose spawner died while it started them.
 *
 * Bubblewrap's first process inside a sandbox waits for its outer one to set it up. The outer one dies with the spawner, and where that happens
 * before the set-up is done the first process waits for ever (https://github.com/containers/bubblewrap/issues/633). Its arguments
 * name the folder of its sandbox.
 *
 * @param runDirectory the folder of the sandboxes' folders
 * @returns how many processes were killed
 */
export function killStragglers(runDirectory: string): number {
  let killed = 0;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || !isOf(name, `${runDirectory}/`)) continue;
    try {
      process.kill(Number(name), 'SIGKILL');
      killed++;
    } catch (error) {
      // Gone by itself meanwhile, or somebody else's.
      if (!['ESRCH', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
  return killed;
}

/** Looks for stragglers now and a few times more; settles after the last look. */
export async function killStragglersFor(runDirectory: string): Promise<void> {
  let sinceMs = 0;
  for (const atMs of LOOKS_MS) {
    await new Promise((resolve) => setTimeout(resolve, atMs - sinceMs));
    sinceMs = atMs;
    killStragglers(runDirectory);
  }
}

/** Whether the arguments are those of bubblewrap for a sandbox below the folder; the same folder may be in an operator's command as well. */
function isOf(pid: string, folder: string): boolean {
  let args: string[];
  try {
    args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return false;
  }
  return args.includes('--die-with-parent') && args.some((argument) => argument.startsWith(folder));
}
