import { readFileSync } from 'node:fs';
import path from 'node:path';
import { SetupFailure } from '../lib/failure.mjs';
import { listFiles } from '../lib/files.mjs';

/** A longer file holds more than one thing. */
const MAX_LINES = 400;

/** What people write and read. Documents, data and lock files may be as long as they need to. */
const SOURCE = /\.(ts|mts|js|mjs|rs|sh)$|^\.ci\/run$/;

/** What set-up makes. */
const RESULTS = /^(build|bucket)\//;

/**
 * @param {import('../lib/project.mjs').Project} project
 * @returns {string} what was seen; throws SetupFailure, which lists the files that are too long
 */
export function checkFileSizes(project) {
  const files = listFiles(project.root, '.').filter((name) => SOURCE.test(name) && !RESULTS.test(name));
  const tooLong = files
    .map((name) => ({ name, lines: countLines(path.join(project.root, name)) }))
    .filter(({ lines }) => lines > MAX_LINES);
  if (tooLong.length > 0) {
    throw new SetupFailure(`${tooLong.length} files have more than ${MAX_LINES} lines`, {
      output: tooLong.map(({ name, lines }) => `${name}: ${lines}`),
      remedy: 'split them: one noun per file',
    });
  }
  return `${files.length} files, none over ${MAX_LINES} lines`;
}

/**
 * @param {string} file
 * @returns {number}
 */
function countLines(file) {
  return readFileSync(file, 'utf8').split('\n').length - 1;
}
