import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Finding } from './finding.ts';

/** Everything that `--unshare-all` takes a new one of. */
const NAMESPACES = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts'];
const CAPABILITY_SETS = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'];
/** The process that guards the sandbox: bubblewrap's filter, and the supervisor's own. */
const SUPERVISOR_FILTERS = 2;
/** The process that runs the function has one more. */
const WORKER_FILTERS = 3;

/** The finding that there was something to look at. */
export const PROCESSES_SEEN = 'processes to look at';

/** What the message says that ends the start of a server whose sandboxes lack a layer. */
export const WEAK_SANDBOX = 'the sandboxes of this host are weaker than they must be';

type Process = { pid: number; parent: number; name: string };

/** A process that was started a moment ago has not taken all its rights from itself yet; until then it runs nobody's code. */
const SETTLE_MS = 500;

/**
 * Looks at the sandboxes of a server from outside, through /proc: each layer must be there by itself, also where another one would have
 * held an attack.
 * @param serverPid the dispatcher
 */
export async function inspectSandboxes(serverPid: number): Promise<Finding[]> {
  const runners = listDescendants(serverPid).filter(({ name }) => name === 'runner');
  const findings = inspect(serverPid, runners);
  if (findings.every(({ held }) => held)) return findings;
  await delay(SETTLE_MS);
  return inspect(serverPid, runners);
}

function inspect(serverPid: number, runners: readonly Process[]): Finding[] {
  const pids = new Set(runners.map(({ pid }) => pid));
  const workers = runners.filter(({ parent }) => pids.has(parent));
  const findings: Finding[] = [];
  const look = (name: string, fault: (runner: Process) => string | undefined): void => {
    const faults = runners.map((runner) => tryLook(runner, fault)).filter((found) => found !== undefined);
    findings.push({ kind: 'sandbox', name, held: faults.length === 0, detail: faults[0] ?? '' });
  };

  findings.push({
    kind: 'sandbox',
    name: PROCESSES_SEEN,
    held: runners.length > 0,
    detail: `${runners.length}, of which ${workers.length} run functions`,
  });
  look('not root outside', ({ pid }) => (statusOf(pid, 'Uid').split('\t').includes('0') ? 'user id 0' : undefined));
  look(
    'no capabilities',
    ({ pid }) => CAPABILITY_SETS.find((set) => !/^0+$/.test(statusOf(pid, set))) && 'a capability set is not empty',
  );
  look('no new privileges', ({ pid }) => (statusOf(pid, 'NoNewPrivs') === '1' ? undefined : 'NoNewPrivs is not set'));
  look('system call filters', ({ pid, parent }) => {
    const wanted = pids.has(parent) ? WORKER_FILTERS : SUPERVISOR_FILTERS;
    const found = Number(statusOf(pid, 'Seccomp_filters'));
    return statusOf(pid, 'Seccomp') === '2' && found >= wanted ? undefined : `${found} filters, not ${wanted}`;
  });
  for (const kind of NAMESPACES) {
    look(`own ${kind} namespace`, ({ pid }) =>
      namespaceOf(pid, kind) === namespaceOf(serverPid, kind) ? "it is the server's" : undefined,
    );
  }
  look('no file but its program and its component', ({ pid }) => {
    const entries = readdirSync(`/proc/${pid}/root`).toSorted().join(' ');
    return entries === 'in runner' ? undefined : `the root folder holds ${entries.slice(0, 200)}`;
  });
  look('nothing to write to', ({ pid }) => {
    const mounts = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').trim().split('\n');
    const writable = mounts.map((line) => line.split(' ')).find((fields) => !fields[5]!.split(',').includes('ro'));
    return writable === undefined ? undefined : `${writable[4]} is writable`;
  });
  look('no environment', ({ pid }) => (environmentOf(pid) === '' ? undefined : 'there are variables'));
  return findings;
}

/** A process that ends while it is looked at has nothing to hide. */
function tryLook(runner: Process, fault: (runner: Process) => string | undefined): string | undefined {
  try {
    return fault(runner);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    return `cannot be looked at: ${(error as Error).message}`;
  }
}

function statusOf(pid: number, field: string): string {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return new RegExp(`^${field}:[ \\t]*(.*?)[ \\t]*$`, 'm').exec(status)?.[1] ?? '';
}

/** Empty as well where it is kept from this user: a runner lets nobody without privileges read its memory, which the environment is in. */
function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').replace('PWD=/\0', '');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return '';
    throw error;
  }
}

function namespaceOf(pid: number, kind: string): string {
  return readlinkSync(`/proc/${pid}/ns/${kind}`);
}

function listDescendants(root: number): Process[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readProcess(Number(name)))
    .filter((process) => process !== undefined);
  const found: Process[] = [];
  let parents = new Set([root]);
  while (parents.size > 0) {
    const children = all.filter(({ parent }) => parents.has(parent));
    found.push(...children);
    parents = new Set(children.map(({ pid }) => pid));
  }
  return found;
}

function readProcess(pid: number): Process | undefined {
  try {
    // The name in parentheses may hold anything (proc_pid_stat(5)).
    const match = /^\d+ \(([\s\S]*)\) (\S) (\d+) /.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    // Of one that has ended and was not waited for yet, there is nothing to see.
    return match === null || match[2] === 'Z' ? undefined : { pid, name: match[1]!, parent: Number(match[3]) };
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}
