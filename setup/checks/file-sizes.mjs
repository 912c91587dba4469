import { readFileSync } from 'node:fs';
import path from 'node:path';
import { capture } from '../lib/capture.mjs';
import { SetupFailure } from '../lib/failure.mjs';

/** A longer file holds more than one thing. */
const MAX_LINES = 400;

/** What people write and read. Documents, data and lock files may be as long as they need to. */
const SOURCE = /\.(ts|mts|js|mjs|rs|sh)$|^\.ci\/run$/;

/**
 * @param {import('../lib/project.mjs').Project} project
 * @returns {Promise<string>} rejects with SetupFailure, which lists the files that are too long
 */
export async function checkFileSizes(project) {
  const listed = await capture('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    env: project.env,
    cwd: project.root,
  });
  if (listed.status !== 0) {
    throw new SetupFailure('git does not list the files', { output: listed.stderr.split('\n') });
  }
  const files = [...new Set(listed.stdout.split('\n'))].filter((name) => SOURCE.test(name));
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
 * @returns {number} 0 for one that is listed but deleted
 */
function countLines(file) {
  try {
    return readFileSync(file, 'utf8').split('\n').length - 1;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') {
      return 0;
    }
    throw error;
  }
}
