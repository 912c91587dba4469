import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** A process as /proc shows it. `startTicks` tells it from a later one of the same number. */
export type ProcessEntry = { pid: number; parent: number; startTicks: string; name: string; state: string };

/** All processes there are. */
export function listProcesses(): ProcessEntry[] {
  const entries = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readProcess(Number(name)));
  return entries.filter((entry) => entry !== undefined);
}

/** One process; undefined where there is none. */
export function readProcess(pid: number): ProcessEntry | undefined {
  const stat = readProc(pid, 'stat');
  // The name in parentheses may hold anything (proc_pid_stat(5)).
  const match = stat === undefined ? null : /^\d+ \(([\s\S]*)\) (\S) (.*)$/m.exec(stat);
  if (match === null) return undefined;
  const fields = match[3]!.split(' ');
  return { pid, name: match[1]!, state: match[2]!, parent: Number(fields[0]), startTicks: fields[18]! };
}

/** All processes below one, children before their own children. */
export function listDescendants(pid: number): ProcessEntry[] {
  const all = listProcesses();
  const found: ProcessEntry[] = [];
  const parents = new Set([pid]);
  for (let size = -1; size !== found.length;) {
    size = found.length;
    for (const entry of all) {
      if (!parents.has(entry.parent) || parents.has(entry.pid)) continue;
      parents.add(entry.pid);
      found.push(entry);
    }
  }
  return found;
}

/** Whether this very process is still there and is no zombie. */
export function isAlive(entry: ProcessEntry): boolean {
  const now = readProcess(entry.pid);
  return now !== undefined && now.startTicks === entry.startTicks && now.state !== 'Z' && now.state !== 'X';
}

/** Processes that have to do with a folder: they work in it, or it is in their command line or among their mounts. */
export function listUsersOf(folder: string): ProcessEntry[] {
  return listProcesses().filter(
    (entry) =>
      entry.pid !== process.pid &&
      entry.state !== 'Z' &&
      (readWorkingFolder(entry.pid)?.startsWith(folder) === true ||
        readProc(entry.pid, 'cmdline')?.includes(folder) === true ||
        readProc(entry.pid, 'mountinfo')?.includes(folder) === true),
  );
}

/** Mounts of this machine that have to do with a folder. */
export function listMountsOf(folder: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(folder));
}

/** A field of /proc/PID/status, such as `CapEff` or `VmRSS`; undefined where the process is gone. */
export function readStatusField(pid: number, field: string): string | undefined {
  const status = readProc(pid, 'status');
  return new RegExp(`^${field}:[ \\t]*(.*?)[ \\t]*$`, 'm').exec(status ?? '')?.[1];
}

/** Resident memory in bytes; 0 where the process is gone. */
export function readResidentBytes(pid: number): number {
  return Number.parseInt(readStatusField(pid, 'VmRSS') ?? '0', 10) * 1024;
}

/** What a process was started as, its arguments joined by spaces. */
export function readCommandLine(pid: number): string {
  return (readProc(pid, 'cmdline') ?? '').replaceAll('\0', ' ').trim();
}

/** Which namespace of a kind (`net`, `pid`, `mnt`, `user`, …) a process is in. */
export function readNamespace(pid: number, kind: string): string {
  return readlinkSync(`/proc/${pid}/ns/${kind}`);
}

/** A line for each process, as errors show them. */
export function describeProcesses(entries: readonly ProcessEntry[]): string {
  return entries.map(({ pid, parent, name }) => `${pid} (of ${parent}) ${name}: ${readCommandLine(pid)}`).join('\n');
}

function readWorkingFolder(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined;
  }
}

function readProc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    // It ended between two looks, or belongs to somebody else.
    return undefined;
  }
}
