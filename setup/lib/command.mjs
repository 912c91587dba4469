import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync } from 'node:fs';
import path from 'node:path';
import { SetupFailure } from './failure.mjs';

/** How many of a failing tool's last lines are shown. */
const SHOWN_LINES = 30;

/** A tool that was told to stop gets this long before it is killed. */
const STOP_TIMEOUT_MS = 5_000;

/**
 * @typedef {object} CommandOptions
 * @property {string} cwd folder it runs in
 * @property {NodeJS.ProcessEnv} env its whole environment
 * @property {AbortSignal} [signal] stops it, with all processes that it started
 * @property {string} [logFile] where its output is kept
 * @property {(line: string) => boolean | void} [onLine] sees every line of both outputs, also those that overwrite one
 *   another on a terminal; returns true for one that only says how far the tool is, which a failure need not show
 * @property {(output: string) => string | undefined} [explain] what to do about a failure, from the lines shown with it
 */

/**
 * Runs a tool to its end, without a terminal and without input.
 * @param {string} command the program
 * @param {string[]} args
 * @param {CommandOptions} options
 * @returns {Promise<void>} rejects with SetupFailure when it cannot be started, fails or is stopped
 */
export function runCommand(command, args, options) {
  const shown = [command, ...args].join(' ');
  const log = options.logFile === undefined ? undefined : openLog(options.logFile);
  log?.write(`$ ${shown}\n`);
  /** @type {string[]} */
  const lastLines = [];
  const takeLine = (/** @type {string} */ line) => {
    if (options.onLine?.(line) === true) {
      return;
    }
    log?.write(`${line}\n`);
    lastLines.push(line);
    if (lastLines.length > SHOWN_LINES) {
      lastLines.shift();
    }
  };
  return new Promise((resolve, reject) => {
    const fail = (/** @type {string} */ message, /** @type {unknown} */ cause) =>
      reject(
        new SetupFailure(message, {
          output: lastLines,
          logFile: options.logFile ?? '',
          remedy: options.explain?.(lastLines.join('\n')) ?? '',
          cause,
        }),
      );
    // A process group of its own, so that stopping it reaches the compilers that it has started as well.
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const unfollow = stopOnAbort(child, options.signal);
    const outputs = [child.stdout, child.stderr].map((stream) => readLines(stream, takeLine));
    child.once('error', (error) => {
      unfollow();
      log?.end();
      fail(`cannot start ${command}: ${error.message}`, error);
    });
    child.once('close', (status, signal) => {
      unfollow();
      outputs.forEach((finish) => finish());
      log?.end();
      if (options.signal?.aborted === true) {
        fail(`${shown} was stopped`, options.signal.reason);
      } else if (status === 0) {
        resolve();
      } else {
        fail(`${shown} ${status === null ? `was ended by ${signal}` : `failed with status ${status}`}`, undefined);
      }
    });
  });
}

/**
 * @param {string} file
 */
function openLog(file) {
  mkdirSync(path.dirname(file), { recursive: true });
  return createWriteStream(file);
}

/**
 * @param {import('node:child_process').ChildProcess} child the leader of its own process group
 * @param {AbortSignal | undefined} signal
 * @returns {() => void} to be called when the child has ended
 */
function stopOnAbort(child, signal) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const send = (/** @type {NodeJS.Signals} */ name) => {
    try {
      process.kill(-(/** @type {number} */ (child.pid)), name);
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ESRCH') {
        throw error;
      }
    }
  };
  const stop = () => {
    send('SIGTERM');
    timer = setTimeout(() => send('SIGKILL'), STOP_TIMEOUT_MS);
  };
  if (signal?.aborted === true && child.pid !== undefined) {
    stop();
  } else if (child.pid !== undefined) {
    signal?.addEventListener('abort', stop, { once: true });
  }
  return () => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  };
}

/**
 * Cuts a stream into lines. A carriage return ends a line too: tools use it to overwrite their progress.
 * @param {import('node:stream').Readable} stream
 * @param {(line: string) => void} onLine
 * @returns {() => void} hands over a last line that had no end
 */
function readLines(stream, onLine) {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (/** @type {string} */ text) => {
    const lines = (rest + text).split(/\r?\n|\r/);
    rest = lines.pop() ?? '';
    lines.filter((line) => line.trim() !== '').forEach(onLine);
  });
  return () => {
    if (rest.trim() !== '') {
      onLine(rest);
    }
  };
}
