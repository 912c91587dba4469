import { spawn, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { describeSignal } from '../runner/signal-name.ts';
import type { SpawnerEvent, SpawnerRequest } from './spawner-messages.ts';

/** The spawner's process, from its start to its end. */
export type SpawnerProcess = {
  /** `undefined` where it could not even be started. */
  pid: number | undefined;
  send: (request: SpawnerRequest) => void;
  /** Lets it end all sandboxes, and then itself. */
  close: () => void;
};

/** What its starter is told. */
export type SpawnerProcessEvents = {
  event: (event: SpawnerEvent) => void;
  /** Once, after all events, never before `startSpawnerProcess` has returned. `clean` tells that it has cleared away what it had. */
  ended: (reason: string, clean: boolean) => void;
};

/** The descriptor that it is spoken with on. */
const SOCKET_FD = 3;
/** A program that has not answered its configuration by then is none of ours. It takes milliseconds. */
const ANSWER_LIMIT_MS = 5_000;
/** Far longer than the longest event, whose standard error is 4 KiB. */
const LONGEST_LINE = 1024 * 1024;

/**
 * Starts a spawner.
 * @param program the path of its binary
 */
export function startSpawnerProcess(program: string, events: SpawnerProcessEvents): SpawnerProcess {
  let over = false;
  let fault: string | undefined;
  const end = (reason: string, clean: boolean): void => {
    if (over) return;
    over = true;
    clearTimeout(limit);
    events.ended(fault ?? reason, clean);
  };
  const giveUp = (reason: string): void => {
    fault ??= reason;
    child?.kill('SIGKILL');
  };
  const limit = setTimeout(
    () => giveUp(`it did not answer within ${ANSWER_LIMIT_MS / 1000} s; is ${program} a spawner?`),
    ANSWER_LIMIT_MS,
  );

  const child = launch(program, (reason) => setImmediate(end, reason, false));
  const socket = child?.stdio?.[SOCKET_FD] as Socket | undefined;
  child?.once('error', (error) => {
    // Others, such as a signal that could not be sent, come while it runs.
    if (child.pid === undefined) end(error.message, false);
  });
  child?.once('close', (code, signal) => end(describeEnd(code, signal), code === 0));
  // One that is gone is told of by its end.
  socket?.on('error', () => undefined);
  let rest = '';
  socket?.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LONGEST_LINE) giveUp('it said a line without an end');
    for (const line of lines) {
      const event = parseEvent(line);
      if (event === undefined) return giveUp(`it said what is no event: ${line.slice(0, 200)}`);
      clearTimeout(limit);
      if (fault === undefined) events.event(event);
    }
  });

  return {
    pid: child?.pid,
    send: (request) => {
      if (socket?.writable === true) socket.write(`${JSON.stringify(request)}\n`);
    },
    close: () => void socket?.end(),
  };
}

/** Node throws for some of the reasons for which a program cannot be started, and emits others. */
function launch(program: string, onFailure: (reason: string) => void): ChildProcess | undefined {
  try {
    return spawn(program, [], {
      argv0: 'playa: spawner',
      // It needs none; the dispatcher's may hold credentials.
      env: {},
      stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
    });
  } catch (error) {
    onFailure((error as Error).message);
    return undefined;
  }
}

function parseEvent(line: string): SpawnerEvent | undefined {
  try {
    const event = JSON.parse(line) as SpawnerEvent | null;
    return event?.type === 'exited' || event?.type === 'controlGroups' ? event : undefined;
  } catch {
    return undefined;
  }
}

function describeEnd(code: number | null, signal: NodeJS.Signals | null): string {
  return signal ?? `status ${code}`;
}

/** How a sandbox ended, where it said nothing itself. */
export function describeExit(event: Extract<SpawnerEvent, { type: 'exited' }>): string {
  return event.signal === null ? `status ${event.code}` : describeSignal(event.signal);
}
