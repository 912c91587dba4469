import path from 'node:path';
import { installExecutable, runCargo } from '../lib/cargo.mjs';
import { fingerprint } from '../lib/fingerprint.mjs';
import { isStamped, leaveStamp } from '../lib/stamp.mjs';
import { readHostTriple } from './rust-toolchain.mjs';

/** What runner and spawner are built from. */
const SOURCES = ['Cargo.toml', 'Cargo.lock', '.cargo', 'packages/runner', 'packages/spawner'];

/**
 * The step that builds the runner, the spawner, and the stand-in that `playa doctor` attacks the sandbox with. It comes after the Wasmtime command, which the examples wait for: two builds at once
 * would only make each other slow, and need twice the memory.
 * @param {import('../lib/project.mjs').Project} project
 * @returns {import('../lib/step.mjs').Step & { needsBuild: () => boolean }} needsBuild tells whether it will start cargo
 */
export function createRunnerStep(project) {
  const stampFile = path.join(project.buildFolder, 'stamps/runner.json');
  const inputs = () => fingerprint(project.root, SOURCES);
  const isCurrent = () => isStamped(stampFile, inputs());
  const name = 'runner';
  return {
    name,
    after: ['wasmtime'],
    isCurrent,
    needsBuild: () => !isCurrent(),
    run: async ({ update, signal }) => {
      const before = inputs();
      update('looking what is to be built');
      const triple = await readHostTriple(project);
      const built = await runCargo(
        [
          'build',
          '--locked',
          '--release',
          '-p',
          'playa-runner',
          '-p',
          'playa-spawner',
          '--target',
          triple,
          '--message-format',
          'json-render-diagnostics',
        ],
        { project, name, update, signal },
      );
      installExecutable(built.executables, 'playa-runner', project.runnerFile);
      installExecutable(built.executables, 'playa-hostile-runner', project.hostileRunnerFile);
      installExecutable(built.executables, 'playa-spawner', project.spawnerFile);
      leaveStamp(stampFile, before, [project.runnerFile, project.hostileRunnerFile, project.spawnerFile]);
      return 'built';
    },
  };
}
