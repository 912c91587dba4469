import { constants } from 'node:os';
import { performance } from 'node:perf_hooks';
import { createDisplay } from './display.mjs';
import { watchNpm } from './parent.mjs';
import { openProject } from './project.mjs';

/**
 * What each of the commands works with: the checkout, a display, and a signal that SIGINT and SIGTERM set off.
 * @typedef {import('../prepare.mjs').SetupContext & { parent: number, end: () => void, stoppedBy: () => NodeJS.Signals | undefined }} Session
 */

/**
 * Begins a command. From now on SIGINT and SIGTERM stop its tools first.
 * @returns {Session} `parent` is the process id of who started it; `end` gives the terminal and the signals back; `stoppedBy` names the signal that came, if any
 */
export function openSession() {
  const parent = process.ppid;
  const project = openProject(process.env);
  const display = createDisplay({ stream: process.stderr, now: () => performance.now() });
  const abort = new AbortController();
  /** @type {NodeJS.Signals | undefined} */
  let received;
  const stop = (/** @type {NodeJS.Signals} */ signal) => {
    received ??= signal;
    abort.abort(new Error(`stopped by ${signal}`));
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  const unwatch = watchNpm(project.env, parent, () => stop('SIGTERM'));
  return {
    project,
    parent,
    display,
    signal: abort.signal,
    stoppedBy: () => received,
    end: () => {
      unwatch();
      display.close();
      process.off('SIGINT', stop);
      process.off('SIGTERM', stop);
    },
  };
}

/**
 * The exit status of a command that a signal has ended, as shells have it.
 * @param {NodeJS.Signals} signal
 * @returns {number}
 */
export function statusOfSignal(signal) {
  return 128 + constants.signals[signal];
}
