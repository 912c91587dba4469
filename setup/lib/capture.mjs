import { execFile } from 'node:child_process';

/**
 * How a short command ended.
 * @typedef {object} Captured
 * @property {boolean} found whether there is such a program
 * @property {number | null} status exit status; null when it was ended by a signal or never ran
 * @property {string} stdout
 * @property {string} stderr
 * @property {string} [spawnError] code of the system's error when it could not be started, such as `ENOENT`
 */

/** A question to a tool that takes longer than this is not going to be answered. */
const ANSWER_TIMEOUT_MS = 20_000;

/**
 * Asks a program something that it answers at once, such as its version. Never rejects.
 * @param {string} command
 * @param {string[]} args
 * @param {{ env: NodeJS.ProcessEnv, cwd?: string, uid?: number, gid?: number }} options environment, and whose process it is to be
 * @returns {Promise<Captured>}
 */
export function capture(command, args, options) {
  return new Promise((resolve) => {
    const fail = (/** @type {string} */ code) =>
      resolve({
        found: code !== 'ENOENT' && code !== 'EACCES',
        status: null,
        stdout: '',
        stderr: '',
        spawnError: code,
      });
    try {
      const limits = {
        timeout: ANSWER_TIMEOUT_MS,
        killSignal: /** @type {const} */ ('SIGKILL'),
        encoding: /** @type {const} */ ('utf8'),
      };
      const child = execFile(command, args, { ...options, ...limits }, (error, stdout, stderr) => {
        if (typeof error?.code === 'string' && child.pid === undefined) {
          fail(error.code);
        } else {
          resolve({ found: true, status: child.exitCode, stdout, stderr });
        }
      });
      child.stdin?.end();
    } catch (error) {
      // Node reports some of the system's errors by throwing, such as EINVAL for a user id that does not exist here.
      fail(/** @type {NodeJS.ErrnoException} */ (error).code ?? String(error));
    }
  });
}
