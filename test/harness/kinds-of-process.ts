import type { ProcessEntry } from './process-tree.ts';
import type { TestServer } from './test-server.ts';

/** What the processes of a server are there for. */
export type ProcessKind = 'spawner' | 'bubblewrap' | 'init' | 'supervisor' | 'worker';

/**
 * The processes of a server by what they do: its spawner, bubblewrap's outer processes, the first processes inside the sandboxes
 * (bubblewrap too), the runners' supervisors, and their workers.
 */
export function processesByKind(server: TestServer): Record<ProcessKind, ProcessEntry[]> {
  const all = server.processes();
  const nameOf = new Map(all.map((entry) => [entry.pid, entry.name]));
  const childOf = (name: string, parent: string | undefined): ProcessEntry[] =>
    all.filter((entry) => entry.name === name && nameOf.get(entry.parent) === parent);
  return {
    spawner: all.filter((entry) => entry.parent === server.pid),
    bubblewrap: childOf('bwrap', 'playa: spawner'),
    init: childOf('bwrap', 'bwrap'),
    supervisor: childOf('runner', 'bwrap'),
    worker: childOf('runner', 'runner'),
  };
}
