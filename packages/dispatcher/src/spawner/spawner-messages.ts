import type { ControlGroupState } from './control-groups.ts';

/** What a sandbox is made with, each by its path. */
export type SandboxPrograms = { bubblewrap: string; runner: string; seccompFilter: string };

/** From the dispatcher to the spawner. */
export type SpawnerRequest =
  /** Sent first, once. */
  | { type: 'configure'; address: string; token: string; runDirectory: string; programs: SandboxPrograms }
  /** Starts a sandbox with that many lanes; `uid` is set where the spawner may change it. */
  | { type: 'start'; id: number; lanes: number; uid: number | undefined }
  /** Kills a sandbox. Unknown and ended ones are passed over. */
  | { type: 'kill'; id: number };

/** From the spawner to the dispatcher. */
export type SpawnerEvent =
  /** Sent first, once. */
  | { type: 'controlGroups'; state: ControlGroupState }
  | { type: 'started'; id: number; pid: number }
  /** All processes of the sandbox are gone, and so is its folder. `stderr` is the last of what bubblewrap and the runner wrote. */
  | { type: 'exited'; id: number; code: number | null; signal: string | null; stderr: string };

/**
 * What a connection begins with: the token, the sandbox's number and the socket's index in it (0 control, then the lanes).
 * Whatever comes after these bytes is the runner's.
 */
export const CONNECTION_TOKEN_BYTES = 32;
export const CONNECTION_HEAD_BYTES = CONNECTION_TOKEN_BYTES + 8;
