import { readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { runCommand } from '../lib/command.mjs';
import { fingerprint } from '../lib/fingerprint.mjs';
import { isStamped, leaveStamp } from '../lib/stamp.mjs';
import { readWasmtimeVersion } from './wasmtime-command.mjs';

/** What the examples are built from, and with. */
const SOURCES = ['package-lock.json', 'examples', 'packages/build-cwasm/src', 'packages/common/src', 'packages/types'];

/**
 * The step that builds the example functions into the bucket.
 * @param {import('../lib/project.mjs').Project} project
 * @returns {import('../lib/step.mjs').Step}
 */
export function createExamplesStep(project) {
  const stampFile = path.join(project.buildFolder, 'stamps/examples.json');
  const sources = () => fingerprint(project.root, SOURCES, [readWasmtimeVersion(project)]);
  return {
    name: 'examples',
    after: ['npm packages', 'node 24', 'wasmtime'],
    isCurrent: () => isStamped(stampFile, withKey(sources(), project.env)),
    run: async ({ update, signal }) => {
      const before = sources();
      update('building');
      await runCommand(project.nodeCommand, ['examples/build.ts', '--out', project.bucketFolder], {
        cwd: project.root,
        env: { ...project.env, PLAYA_WASMTIME: project.wasmtimeFile },
        logFile: path.join(project.buildFolder, 'logs/examples.log'),
        signal,
        onLine: (line) => update(line.trim()),
      });
      const built = listExamples(project.bucketFolder);
      // The key as it is now: the first build makes the one that it signs with.
      leaveStamp(stampFile, withKey(before, project.env), built);
      return `${built.length} functions in the bucket`;
    },
  };
}

/**
 * Adds the own key to a fingerprint: an artifact that another key has signed is refused, so a changed key means building anew.
 * @param {string} sources
 * @param {NodeJS.ProcessEnv} env
 * @returns {string}
 */
function withKey(sources, env) {
  const configFolder = env.XDG_CONFIG_HOME || path.join(env.HOME || homedir(), '.config');
  const keyFolder = env.PLAYA_KEYS || path.join(configFolder, 'playa/keys');
  return fingerprint(keyFolder, ['trusted/own.pub'], [sources]);
}

/**
 * The artifacts of examples in a bucket, not the user's own: their build notes beside each what it was built from.
 * @param {string} bucket
 * @returns {string[]} absolute paths
 */
function listExamples(bucket) {
  return readdirSync(bucket)
    .filter((name) => name.startsWith('.') && name.endsWith('.cwasm.stamp'))
    .map((name) => path.join(bucket, name.slice('.'.length, -'.stamp'.length)));
}
