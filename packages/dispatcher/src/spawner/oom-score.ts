import { writeFileSync } from 'node:fs';

/** When memory runs out the kernel ends sandboxes before anything else (proc_pid_oom_score_adj(5)). Raising needs no privilege. */
const FIRST_TO_GO = '1000';

/** Makes a process, and what it forks from now on, the first that is ended when memory runs out. */
export function offerToOomKiller(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, FIRST_TO_GO);
  } catch {
    // It has ended already, or /proc is not readable here: then the kernel chooses by size alone.
  }
}
