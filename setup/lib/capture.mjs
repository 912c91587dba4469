import { execFile } from 'node:child_process';

/**
 * How a short command ended.
 * @typedef {object} Captured
 * @property {boolean} found whether there is such a program
 * @property {number | null} status exit status; null when it was ended by a signal or never ran
 * @property {string} stdout
 * @property {string} stderr
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
    const child = execFile(
      command,
      args,
      { ...options, timeout: ANSWER_TIMEOUT_MS, killSignal: 'SIGKILL', encoding: 'utf8' },
      (error, stdout, stderr) => {
        const missing = error?.code === 'ENOENT' || error?.code === 'EACCES';
        resolve({ found: !missing, status: missing ? null : child.exitCode, stdout, stderr });
      },
    );
    child.stdin?.end();
  });
}
