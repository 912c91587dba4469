/** What a sandbox is made with, each by its path. */
export type SandboxPrograms = { bubblewrap: string; runner: string; seccompFilter: string };

/** Whether sandboxes have control groups, and of what or why not. */
export type ControlGroupState = { available: boolean; detail: string };

/** From the dispatcher to the spawner, each as JSON on a line (`packages/spawner/src/message.rs`). */
export type SpawnerRequest =
  /** Sent first, once. `socketName` is in the abstract namespace of Unix sockets, `token` hexadecimal. */
  | {
      type: 'configure';
      socketName: string;
      token: string;
      runDirectory: string;
      bubblewrap: string;
      seccompFilter: string;
    }
  /** Starts a sandbox with that many lanes by bubblewrap's arguments; `uid` is set where the spawner may change it. */
  | { type: 'start'; id: number; lanes: number; uid: number | undefined; arguments: string[] }
  /** Kills a sandbox. Unknown and ended ones are passed over. */
  | { type: 'kill'; id: number };

/** From the spawner to the dispatcher, likewise. */
export type SpawnerEvent =
  /** The answer to `configure`. */
  | { type: 'controlGroups'; state: ControlGroupState }
  /**
   * All processes of the sandbox are gone, and so is its folder. `stderr` is the last of what bubblewrap and the runner wrote, or why it was not
   * started; `signal` is a number.
   */
  | { type: 'exited'; id: number; code: number | null; signal: number | null; stderr: string };

/**
 * What a connection begins with: the token, the sandbox's number and the socket's index in it (0 control, then the lanes).
 * Whatever comes after these bytes is the runner's.
 */
export const CONNECTION_TOKEN_BYTES = 32;
export const CONNECTION_HEAD_BYTES = CONNECTION_TOKEN_BYTES + 8;
