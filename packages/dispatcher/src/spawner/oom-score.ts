import { readFileSync, writeFileSync } from 'node:fs';

/** When memory runs out the kernel ends sandboxes before anything else (proc_pid_oom_score_adj(5)). Raising needs no privilege. */
const FIRST_TO_GO = '1000';

/** Makes a process and all that it has forked and will fork the first that are ended when memory runs out. */
export function offerToOomKiller(pid: number): void {
  try {
    // Before its children are looked for: what it forks in between inherits it.
    writeFileSync(`/proc/${pid}/oom_score_adj`, FIRST_TO_GO);
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
    for (const child of children) offerToOomKiller(Number(child));
  } catch {
    // It has ended already, or /proc is not readable here: then the kernel chooses by size alone.
  }
}
