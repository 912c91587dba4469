import { prepare } from '../prepare.mjs';
import { relay } from './relay.mjs';
import { openSession, statusOfSignal } from './session.mjs';

/**
 * Sets up what is missing, then runs a script of the project with the command line's arguments. Sets the exit status.
 * @param {string} script path in the project
 * @returns {Promise<void>}
 */
export async function runPrepared(script) {
  const session = openSession();
  const { project, signal } = session;
  const succeeded =
    (await prepare(session)) &&
    (await relay(project.nodeCommand, [script, ...process.argv.slice(2)], {
      cwd: project.root,
      env: project.env,
      signal,
    }));
  session.end();
  const stoppedBy = session.stoppedBy();
  process.exitCode = stoppedBy !== undefined ? statusOfSignal(stoppedBy) : succeeded ? 0 : 1;
}
