import { constants } from 'node:os';

/** What a signal tells of a process that it ended, where that is more than its name. */
const MEANINGS: Record<string, string> = {
  SIGSYS: 'it asked the kernel for something that no runner asks for',
  SIGXCPU: 'it used more processor time than any invocation may',
};

/** A signal's name, and what it means for a worker: `SIGSYS (it asked …)`; `signal 99` for one that has no name here. */
export function describeSignal(number: number): string {
  const name = Object.entries(constants.signals).find(([, known]) => known === number)?.[0];
  if (name === undefined) return `signal ${number}`;
  const meaning = MEANINGS[name];
  return meaning === undefined ? name : `${name} (${meaning})`;
}
