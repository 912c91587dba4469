import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { capture } from '../lib/capture.mjs';
import { SetupFailure } from '../lib/failure.mjs';

/**
 * Documents that a command writes from the code, so that they cannot say anything else.
 * @type {{ file: string, command: string[] }[]}
 */
export const GENERATED_DOCS = ['configuration', 'limits', 'outcomes'].map((page) => ({
  file: `docs/${page}.md`,
  command: ['packages/dispatcher/bin/playa', 'docs', page],
}));

/**
 * Compares each generated document with what its command writes now.
 * @param {import('../lib/project.mjs').Project} project
 * @param {{ fix: boolean }} options fix: write them instead
 * @returns {Promise<string>} rejects with SetupFailure, which lists the documents that differ
 */
export async function checkGeneratedDocs(project, { fix }) {
  const texts = await Promise.all(
    GENERATED_DOCS.map(async (doc) => ({ ...doc, text: await generate(project, doc.command) })),
  );
  const stale = texts.filter(({ file, text }) => readIfThere(path.join(project.root, file)) !== text);
  if (fix) {
    stale.forEach(({ file, text }) => writeFileSync(path.join(project.root, file), text));
    return `${stale.length} written`;
  }
  if (stale.length > 0) {
    throw new SetupFailure('documents differ from the code', {
      output: stale.map(({ file, command }) => `${file}, written by ${command.join(' ')}`),
      remedy: 'npm run check -- --fix',
    });
  }
  return `${texts.length} as the code has it`;
}

/**
 * @param {import('../lib/project.mjs').Project} project
 * @param {string[]} command relative to the checkout
 * @returns {Promise<string>}
 */
async function generate(project, [program = '', ...args]) {
  const answer = await capture(path.join(project.root, program), args, { env: project.env, cwd: project.root });
  if (answer.status !== 0) {
    throw new SetupFailure(`${program} ${args.join(' ')} failed`, { output: answer.stderr.split('\n') });
  }
  return answer.stdout;
}

/**
 * @param {string} file
 * @returns {string | undefined}
 */
function readIfThere(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
}
