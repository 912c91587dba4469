import type { Server } from 'node:http';
import type { Logger } from 'pino';

/** What is shut down, in the order of the steps below. */
export type ShutdownDeps = {
  server: Server;
  /** Invocations that are under way. */
  inFlight: () => number;
  /** Calls back when none is under way any more. */
  onIdle: (callback: () => void) => void;
  drainMs: number;
  /** Ends pool, runners and spawner; settles when all their processes are gone. */
  closeRunners: () => Promise<void>;
  log: Logger;
};

/**
 * Ends the server: takes no new connections, finishes what is under way within `drainMs`, ends all sandboxes.
 * @returns whether everything that was under way could finish.
 */
export async function shutDown(deps: ShutdownDeps): Promise<boolean> {
  deps.log.info({ inFlight: deps.inFlight() }, 'draining');
  deps.server.close();
  deps.server.closeIdleConnections();
  const finished = await idleWithin(deps);
  deps.server.closeAllConnections();
  await deps.closeRunners();
  deps.log.info({ finished }, 'stopped');
  return finished;
}

function idleWithin(deps: ShutdownDeps): Promise<boolean> {
  if (deps.inFlight() === 0) return Promise.resolve(true);
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), deps.drainMs);
    deps.onIdle(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}
