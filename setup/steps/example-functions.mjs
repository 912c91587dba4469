import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { runCommand } from '../lib/command.mjs';
import { fingerprint } from '../lib/fingerprint.mjs';
import { isStamped, leaveStamp } from '../lib/stamp.mjs';

/** What the examples are built from, and with. */
const SOURCES = ['package-lock.json', 'examples', 'packages/build-cwasm/src', 'packages/common/src', 'packages/types'];

/**
 * The step that builds the example functions into the bucket.
 * @param {import('../lib/project.mjs').Project} project
 * @returns {import('../lib/step.mjs').Step}
 */
export function createExamplesStep(project) {
  const stampFile = path.join(project.buildFolder, 'stamps/examples.json');
  const inputs = () =>
    fingerprint(project.root, SOURCES, [
      keyFolder(project.env),
      fingerprint(keyFolder(project.env), ['trusted/own.pub']),
    ]);
  return {
    name: 'examples',
    after: ['npm packages', 'node 24', 'wasmtime'],
    isCurrent: () => isStamped(stampFile, inputs()),
    run: async ({ update, signal }) => {
      update('building');
      await runCommand(project.nodeCommand, ['examples/build.ts', '--out', project.bucketFolder], {
        cwd: project.root,
        env: { ...project.env, PLAYA_WASMTIME: project.wasmtimeFile },
        logFile: path.join(project.buildFolder, 'logs/examples.log'),
        signal,
        onLine: (line) => update(line.trim()),
      });
      const built = listArtifacts(project.bucketFolder);
      // The inputs as they are now: the first build made the key that it signed with.
      leaveStamp(stampFile, inputs(), built);
      return `${built.length} functions in the bucket`;
    },
  };
}

/**
 * The key store: an artifact that another key has signed is refused, so a changed key means building anew.
 * @param {NodeJS.ProcessEnv} env
 * @returns {string}
 */
function keyFolder(env) {
  return env.PLAYA_KEYS ?? path.join(env.XDG_CONFIG_HOME ?? path.join(env.HOME ?? '/', '.config'), 'playa/keys');
}

/**
 * @param {string} folder
 * @returns {string[]} absolute paths
 */
function listArtifacts(folder) {
  return existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith('.cwasm'))
        .map((name) => path.join(folder, name))
    : [];
}
