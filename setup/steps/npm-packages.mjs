import path from 'node:path';
import { runCommand } from '../lib/command.mjs';
import { fingerprint } from '../lib/fingerprint.mjs';
import { isStamped, leaveStamp, removeStamp } from '../lib/stamp.mjs';

/**
 * What differs between the two folders that npm installs into.
 * @typedef {object} NpmInstallation
 * @property {string} name of the step
 * @property {string} folder relative to the checkout, with a package-lock.json
 * @property {() => boolean} isNeeded
 */

/**
 * The step that installs a folder's `node_modules` exactly as its lock file says.
 * @param {import('../lib/project.mjs').Project} project
 * @param {NpmInstallation} installation
 * @returns {import('../lib/step.mjs').Step}
 */
export function createNpmStep(project, { name, folder, isNeeded }) {
  const cwd = path.join(project.root, folder);
  // In node_modules, so that it goes with it.
  const stampFile = path.join(cwd, 'node_modules/.playa-setup.json');
  const inputs = () => fingerprint(cwd, ['package-lock.json', '.npmrc']);
  return {
    name,
    isCurrent: () => !isNeeded() || isStamped(stampFile, inputs()),
    run: async ({ update, signal }) => {
      const before = inputs();
      removeStamp(stampFile);
      update('installing');
      const [command, ...args] = npmCommand(project.env);
      await runCommand(command, [...args, 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=http'], {
        cwd,
        env: project.env,
        logFile: path.join(project.buildFolder, `logs/${name.replaceAll(' ', '-')}.log`),
        signal,
        onLine: countFetches(update),
        explain: explainNpm,
      });
      leaveStamp(stampFile, before, []);
      return 'installed';
    },
  };
}

/**
 * The npm that started set-up, else the one on PATH.
 * @param {NodeJS.ProcessEnv} env
 * @returns {[string, ...string[]]}
 */
function npmCommand(env) {
  const file = env.npm_execpath;
  return file !== undefined && path.basename(file) === 'npm-cli.js' ? [process.execPath, file] : ['npm'];
}

/**
 * npm has no progress without a terminal, but at this log level it prints a line for each file that it has fetched.
 * @param {(text: string) => void} update
 * @returns {(line: string) => boolean}
 */
function countFetches(update) {
  let fetched = 0;
  return (line) => {
    const isFetch = /^npm http (fetch|cache)/.test(line);
    if (isFetch) {
      fetched += 1;
      update(`fetched ${fetched} files`);
    }
    return isFetch;
  };
}

/**
 * @param {string} output
 * @returns {string | undefined}
 */
function explainNpm(output) {
  if (/ENOTFOUND|ECONNREFUSED|ETIMEDOUT|ECONNRESET|EAI_AGAIN/.test(output)) {
    return 'check the network or its proxy settings, and start again: what was downloaded is kept';
  }
  if (/EUSAGE|can only install packages when/.test(output)) {
    return 'package.json and package-lock.json disagree: run npm install and commit package-lock.json';
  }
  return /EACCES|EPERM/.test(output)
    ? 'some files belong to another user, perhaps from a start as root: change their owner to you'
    : undefined;
}
