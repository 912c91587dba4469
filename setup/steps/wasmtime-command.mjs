import { existsSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { capture } from '../lib/capture.mjs';
import { installExecutable, runCargo } from '../lib/cargo.mjs';
import { SetupFailure } from '../lib/failure.mjs';
import { fingerprint } from '../lib/fingerprint.mjs';
import { isStamped, leaveStamp } from '../lib/stamp.mjs';
import { readHostTriple } from './rust-toolchain.mjs';
import { findProgram } from './system-packages.mjs';

/** What the Wasmtime command is built from. */
const SOURCES = ['Cargo.toml', 'Cargo.lock', '.cargo', 'packages/compiler'];

/**
 * The step that provides the Wasmtime command, which compiles functions: the one on PATH when it has the version of the
 * runner's Wasmtime, else our own build of it. A runner refuses what another version compiled.
 * @param {import('../lib/project.mjs').Project} project
 * @returns {import('../lib/step.mjs').Step & { needsBuild: () => Promise<boolean> }} needsBuild tells whether it will start cargo
 */
export function createWasmtimeStep(project) {
  const stampFile = path.join(project.buildFolder, 'stamps/wasmtime.json');
  const inputs = () => fingerprint(project.root, SOURCES);
  const isCurrent = () => isStamped(stampFile, inputs());
  const name = 'wasmtime';
  return {
    name,
    isCurrent,
    needsBuild: async () => !isCurrent() && (await findMatchingCommand(project)) === undefined,
    run: async ({ update, signal }) => {
      const before = inputs();
      const version = readWasmtimeVersion(project);
      update('looking for it');
      const found = await findMatchingCommand(project);
      if (found !== undefined) {
        replaceWithLink(project.wasmtimeFile, found);
        leaveStamp(stampFile, before, [project.wasmtimeFile]);
        return `${version}, the one at ${found}`;
      }
      const triple = await readHostTriple(project);
      // Not in one go with the runner: cargo would unite their features, and put a compiler into the runner.
      const built = await runCargo(
        [
          'build',
          '--locked',
          '--profile',
          'compiler',
          '-p',
          'playa-compiler',
          '--target',
          triple,
          '--message-format',
          'json-render-diagnostics',
        ],
        { project, name, update, signal },
      );
      installExecutable(built.executables, 'wasmtime', project.wasmtimeFile);
      leaveStamp(stampFile, before, [project.wasmtimeFile]);
      return `${version}, built`;
    },
  };
}

/**
 * The version of Wasmtime that Cargo.lock pins for runner and compiler together.
 * @param {import('../lib/project.mjs').Project} project
 * @returns {string}
 */
export function readWasmtimeVersion(project) {
  const file = path.join(project.root, 'Cargo.lock');
  const lock = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const version = /^name = "wasmtime"\nversion = "([^"]+)"$/m.exec(lock)?.[1];
  if (version === undefined) {
    throw new SetupFailure('Cargo.lock names no wasmtime', { remedy: 'restore Cargo.lock from the repository' });
  }
  return version;
}

/**
 * @param {import('../lib/project.mjs').Project} project
 * @returns {Promise<string | undefined>} the Wasmtime command on PATH, when it has the pinned version and can compile
 */
async function findMatchingCommand(project) {
  const file = findProgram('wasmtime', project.env.PATH);
  if (file === undefined) {
    return undefined;
  }
  const options = { env: project.env };
  const [version, help] = await Promise.all([
    capture(file, ['--version'], options),
    capture(file, ['compile', '--help'], options),
  ]);
  const matches = version.stdout.split(/\s+/)[1] === readWasmtimeVersion(project) && help.status === 0;
  return matches ? realpathSync(file) : undefined;
}

/**
 * @param {string} file where the link is to be
 * @param {string} target
 */
function replaceWithLink(file, target) {
  mkdirSync(path.dirname(file), { recursive: true });
  const draft = `${file}.${process.pid}`;
  rmSync(draft, { force: true });
  symlinkSync(target, draft);
  renameSync(draft, file);
}
