import { setPriority } from 'node:os';

/**
 * How much functions stand back where processors are short: with it a process counts a third of one of the dispatcher
 * (https://man7.org/linux/man-pages/man7/sched.7.html), so that functions which compute without end do not keep the dispatcher from serving the others.
 */
const SANDBOX_NICENESS = 5;

/** Lowers the priority of a sandbox's process, and so of all that it will start. */
export function lowerPriority(pid: number): void {
  try {
    setPriority(pid, SANDBOX_NICENESS);
  } catch (error) {
    // It has ended already.
    if ((error as { info?: { code?: string } }).info?.code !== 'ESRCH') throw error;
  }
}
