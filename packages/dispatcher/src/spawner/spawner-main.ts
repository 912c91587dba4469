/**
 * The spawner: a small process that starts and ends sandboxes, so that the dispatcher never forks. Node's `spawn` copies the page
 * tables of the whole process, which takes tens of milliseconds in a large one.
 *
 * It outlives the dispatcher by as long as it takes to kill what it started and to remove the run folder.
 */
import { rmdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { describeControlGroupHost, openControlGroups } from './control-groups.ts';
import { startSandbox, type SandboxProcess } from './sandbox-process.ts';
import type { SpawnerEvent, SpawnerRequest } from './spawner-messages.ts';

type Configuration = Extract<SpawnerRequest, { type: 'configure' }>;

process.title = 'playa: spawner';
// The dispatcher decides when sandboxes end; a Ctrl-C in the terminal reaches the whole process group.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
process.on('SIGHUP', () => undefined);

const sandboxes = new Map<number, SandboxProcess>();
let configuration: Configuration | undefined;
const controlGroups = openControlGroups(describeControlGroupHost());

const tell = (event: SpawnerEvent): void => {
  // The dispatcher may be gone already; then `disconnect` does the rest.
  if (process.connected) process.send?.(event, undefined, undefined, () => undefined);
};

const start = (settings: Configuration, request: Extract<SpawnerRequest, { type: 'start' }>): void => {
  const { id, lanes, uid } = request;
  const sandbox = startSandbox({
    id,
    lanes,
    uid,
    address: settings.address,
    token: Buffer.from(settings.token, 'hex'),
    runDirectory: settings.runDirectory,
    controlGroups,
    ...settings.programs,
    onStarted: (pid) => tell({ type: 'started', id, pid }),
  });
  sandboxes.set(id, sandbox);
  void sandbox.exited.then((exit) => {
    sandboxes.delete(id);
    tell({ type: 'exited', id, ...exit });
  });
};

/** The spawner's own folder, and the server's if nothing else is in it: another spawner may have been started. */
const removeFolders = (runDirectory: string): void => {
  rmSync(runDirectory, { recursive: true, force: true });
  try {
    rmdirSync(dirname(runDirectory));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'ENOENT') throw error;
  }
};

process.on('message', (request: SpawnerRequest) => {
  if (request.type === 'configure') {
    configuration = request;
    tell({ type: 'controlGroups', state: controlGroups.state });
  } else if (request.type === 'kill') sandboxes.get(request.id)?.kill();
  else if (configuration !== undefined) start(configuration, request);
});

process.on('disconnect', () => {
  void (async () => {
    for (const sandbox of sandboxes.values()) sandbox.kill();
    await Promise.all([...sandboxes.values()].map((sandbox) => sandbox.exited));
    if (configuration !== undefined) removeFolders(configuration.runDirectory);
    process.exit(0);
  })();
});
