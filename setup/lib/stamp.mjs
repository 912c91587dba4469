import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/**
 * What a finished step leaves behind: the digest of what went in, and what its results looked like.
 * @typedef {object} Stamp
 * @property {string} inputs fingerprint of everything the result depends on
 * @property {Record<string, string>} outputs for each result file its size and time of change
 */

/**
 * Whether a step was finished with the same inputs and its results are still as it left them.
 * @param {string} file the stamp
 * @param {string} inputs fingerprint of the inputs now
 * @returns {boolean}
 */
export function isStamped(file, inputs) {
  const stamp = readStamp(file);
  return (
    stamp?.inputs === inputs && Object.entries(stamp.outputs).every(([output, state]) => stateOf(output) === state)
  );
}

/**
 * Leaves a stamp, in one move, after the step has succeeded: an interrupted step has none and is done again.
 * @param {string} file the stamp
 * @param {string} inputs fingerprint of the inputs, taken before the step ran
 * @param {string[]} outputs absolute paths of the results
 */
export function leaveStamp(file, inputs, outputs) {
  /** @type {Stamp} */
  const stamp = { inputs, outputs: Object.fromEntries(outputs.map((output) => [output, stateOf(output)])) };
  mkdirSync(path.dirname(file), { recursive: true });
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(stamp));
  renameSync(draft, file);
}

/**
 * Takes a stamp away before the step changes its results.
 * @param {string} file the stamp
 */
export function removeStamp(file) {
  rmSync(file, { force: true });
}

/**
 * @param {string} file
 * @returns {Stamp | undefined} undefined when there is none, or none that can be read
 */
function readStamp(file) {
  try {
    const stamp = JSON.parse(readFileSync(file, 'utf8'));
    return typeof stamp?.inputs === 'string' && typeof stamp.outputs === 'object' && stamp.outputs !== null
      ? stamp
      : undefined;
  } catch {
    // Absent or damaged means the same: the step is done again.
    return undefined;
  }
}

/**
 * @param {string} file
 * @returns {string}
 */
function stateOf(file) {
  const found = statSync(file, { throwIfNoEntry: false });
  return found === undefined ? 'absent' : `${found.size} ${found.mtimeMs}`;
}
