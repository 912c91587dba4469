import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { basename, dirname, join } from 'node:path';

/** Whether sandboxes have control groups, and of what or why not. */
export type ControlGroupState = { available: boolean; detail: string };

/** One control group for each sandbox (https://docs.kernel.org/admin-guide/cgroup-v2.html), where the server may make them. */
export type ControlGroups = {
  state: ControlGroupState;
  /** Makes the group of a sandbox and puts its first process in; what that forks from then on is in it as well. */
  enter: (id: number, pid: number, processes: number) => void;
  /** Kills everything in the group at once; does nothing where there is none. */
  kill: (id: number) => void;
  /** Removes the group of a sandbox that has ended. */
  remove: (id: number) => void;
};

/** Where control groups are looked for. */
export type ControlGroupHost = {
  /** Where the hierarchy is mounted; `undefined` where it is not. */
  mount: string | undefined;
  /** The group that this process is in. */
  group: string;
  /** The processes of the server itself. */
  serverPids: readonly number[];
};

const CONTROLLERS = ['memory', 'pids', 'cpu'];
/** The group of the server's own processes: where controllers are handed on, a group may hold no processes itself. */
const SERVER_GROUP = 'playa-server';
/** The default weight is 100: sandboxes share among themselves, and the server comes first. */
const SERVER_CPU_WEIGHT = 1_000;
/** No sandbox takes the whole machine's memory; what a function may have is enforced by the runner. */
const MEMORY_SHARE = 0.75;

/** What is known of this host. */
export function describeControlGroupHost(): ControlGroupHost {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const mount = mounts.find((line) => line.includes(' - cgroup2 '))?.split(' ')[4];
  const group = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/';
  return { mount, group, serverPids: [process.pid, process.ppid] };
}

/** Takes over the group that the server runs in, if that is its own. Never throws: without groups the other layers hold. */
export function openControlGroups(host: ControlGroupHost): ControlGroups {
  let base: string;
  try {
    base = takeOver(host);
  } catch (error) {
    return unavailable((error as Error).message);
  }
  const groupOf = (id: number): string => join(base, `playa-sandbox-${id}`);
  return {
    state: { available: true, detail: `${CONTROLLERS.join(', ')} in ${base}` },
    enter: (id, pid, processes) => {
      const group = groupOf(id);
      mkdirSync(group, { recursive: true });
      writeFileSync(join(group, 'memory.max'), String(Math.floor(totalmem() * MEMORY_SHARE)));
      // The kernel picks a victim; without this the rest of the sandbox would go on without it.
      writeFileSync(join(group, 'memory.oom.group'), '1');
      writeFileSync(join(group, 'pids.max'), String(processes));
      // Now, not later: what the process forks before it is moved stays where it is. Nobody but sandboxes that start waits for the spawner.
      ignoreErrors(() => writeFileSync(join(group, 'cgroup.procs'), String(pid)));
    },
    kill: (id) => ignoreErrors(() => writeFileSync(join(groupOf(id), 'cgroup.kill'), '1', { flag: 'r+' })),
    remove: (id) => ignoreErrors(() => rmdirSync(groupOf(id))),
  };
}

function takeOver({ mount, group, serverPids }: ControlGroupHost): string {
  if (mount === undefined) throw new Error('control groups of version 2 are not mounted');
  // A spawner that had to be started again finds itself where its predecessor was put.
  const own = join(mount, group);
  const base = basename(own) === SERVER_GROUP ? dirname(own) : own;
  const controllers = readFileSync(join(base, 'cgroup.controllers'), 'utf8').trim().split(' ');
  const missing = CONTROLLERS.filter((name) => !controllers.includes(name));
  if (missing.length > 0) throw new Error(`the controllers ${missing.join(', ')} are not delegated to ${base}`);
  const members = readFileSync(join(base, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
  if (members.some((pid) => !serverPids.includes(pid))) {
    throw new Error(`other processes share the server's control group ${base}; give it one of its own (Delegate=yes)`);
  }
  const server = join(base, SERVER_GROUP);
  mkdirSync(server, { recursive: true });
  for (const pid of members) writeFileSync(join(server, 'cgroup.procs'), String(pid));
  writeFileSync(join(base, 'cgroup.subtree_control'), CONTROLLERS.map((name) => `+${name}`).join(' '));
  writeFileSync(join(server, 'cpu.weight'), String(SERVER_CPU_WEIGHT));
  return base;
}

function unavailable(detail: string): ControlGroups {
  return {
    state: { available: false, detail },
    enter: () => undefined,
    kill: () => undefined,
    remove: () => undefined,
  };
}

function ignoreErrors(action: () => void): void {
  try {
    action();
  } catch {
    // The group, or what should go into it, is gone already.
  }
}
