import { isOlder } from '../lib/version.mjs';
import { createNpmStep } from './npm-packages.mjs';

/** The first Node that runs TypeScript without a flag, warning or build step. */
export const OLDEST_RUNTIME = '24.12.0';

/**
 * The step that installs Node 24 beside the project where the machine's own Node is older.
 * @param {import('../lib/project.mjs').Project} project
 * @param {string} nodeVersion of the machine's own Node, such as `v20.20.2`
 * @returns {import('../lib/step.mjs').Step}
 */
export function createNodeRuntimeStep(project, nodeVersion) {
  return createNpmStep(project, {
    name: 'node 24',
    folder: 'toolchain/node',
    isNeeded: () => isOlder(nodeVersion.replace(/^v/, ''), OLDEST_RUNTIME),
  });
}
