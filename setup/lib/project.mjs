import path from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Where things are in this checkout, and the environment that tools are started in.
 * @typedef {object} Project
 * @property {string} root the checkout
 * @property {string} buildFolder what set-up makes and may make again
 * @property {string} runnerFile the runner, where the dispatcher looks for it
 * @property {string} spawnerFile the spawner, where the dispatcher looks for it
 * @property {string} hostileRunnerFile the runner's stand-in that attacks the sandbox, which `playa doctor` starts
 * @property {string} wasmtimeFile the Wasmtime command, where build-cwasm looks for it
 * @property {string} bucketFolder the bucket of `npm start`, into which the examples are built
 * @property {string} nodeCommand starts Node 24, whatever the machine's own Node is
 * @property {NodeJS.ProcessEnv} env environment of every tool that set-up starts
 */

/**
 * Describes the checkout this file lies in.
 * @param {NodeJS.ProcessEnv} env the environment set-up was started in; `CARGO_TARGET_DIR` in it is respected
 * @returns {Project}
 */
export function openProject(env) {
  const root = path.resolve(fileURLToPath(import.meta.url), '../../..');
  const buildFolder = path.join(root, 'build');
  const cargoHome = env.CARGO_HOME ?? path.join(env.HOME ?? '/', '.cargo');
  return {
    root,
    buildFolder,
    runnerFile: path.join(buildFolder, 'bin/playa-runner'),
    spawnerFile: path.join(buildFolder, 'bin/playa-spawner'),
    hostileRunnerFile: path.join(buildFolder, 'bin/playa-hostile-runner'),
    wasmtimeFile: path.join(buildFolder, 'bin/wasmtime'),
    bucketFolder: path.join(root, 'bucket'),
    nodeCommand: path.join(root, 'toolchain/node/run'),
    // A shell that was open before rustup ran does not have its folder on PATH yet.
    env: { ...env, PATH: `${env.PATH ?? '/usr/local/bin:/usr/bin:/bin'}:${path.join(cargoHome, 'bin')}` },
  };
}
