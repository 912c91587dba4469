import { spawn } from 'node:child_process';

/**
 * Runs a tool whose output is for the user to see as it comes, without input.
 * @param {string} command
 * @param {string[]} args
 * @param {object} options
 * @param {string} options.cwd
 * @param {NodeJS.ProcessEnv} options.env
 * @param {AbortSignal} options.signal stops it
 * @param {(text: string) => void} [options.onOutput] sees its standard output too; without it the tool has the terminal itself
 * @returns {Promise<boolean>} whether it succeeded; rejects when it cannot be started
 */
export function relay(command, args, { cwd, env, signal, onOutput }) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env,
      stdio: ['ignore', onOutput === undefined ? 'inherit' : 'pipe', 'inherit'],
    });
    const stop = () => child.kill('SIGTERM');
    signal.addEventListener('abort', stop, { once: true });
    child.stdout?.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
      process.stdout.write(text);
      onOutput?.(text);
    });
    child.once('error', reject);
    child.once('close', (status) => {
      signal.removeEventListener('abort', stop);
      resolve(status === 0);
    });
    if (signal.aborted) {
      stop();
    }
  });
}
