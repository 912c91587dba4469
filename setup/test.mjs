// npm test: sets up what is missing, then runs all tests; `npm test -- NAME…` runs the vitest files whose path holds a NAME.
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { installExecutable, runCargo } from './lib/cargo.mjs';
import { relay } from './lib/relay.mjs';
import { openSession, statusOfSignal } from './lib/session.mjs';
import { runSteps } from './lib/step.mjs';
import { countCargoTests, countVitest, sumCounts } from './lib/test-counts.mjs';
import { prepare, printFailure } from './prepare.mjs';
import { readHostTriple } from './steps/rust-toolchain.mjs';
import { createVersitygwStep } from './steps/versitygw.mjs';

const session = openSession();
const { project, display, signal } = session;
const filters = process.argv.slice(2);

if (await prepare(session)) {
  // A filter names vitest files: then the Rust tests are not meant.
  await buildWeakenedRunner();
  await runSteps([createVersitygwStep(project)], { display, signal });
  const counts = [await runVitest(), ...(filters.length === 0 && !signal.aborted ? [await runRustTests()] : [])];
  const { passed, failed, skipped } = sumCounts(counts);
  process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
} else {
  process.exitCode = 1;
}
session.end();
const stoppedBy = session.stoppedBy();
if (stoppedBy !== undefined) {
  process.exitCode = statusOfSignal(stoppedBy);
}

/** @returns {NodeJS.ProcessEnv} what tests find the built programs by */
function testEnvironment() {
  return {
    ...project.env,
    PLAYA_RUNNER: project.runnerFile,
    PLAYA_SPAWNER: project.spawnerFile,
    PLAYA_HOSTILE_RUNNER: project.hostileRunnerFile,
    PLAYA_WASMTIME: project.wasmtimeFile,
  };
}

/** Builds the runner's stand-in that gives up nothing: a test shows with it that a weak sandbox is noticed. */
async function buildWeakenedRunner() {
  const step = {
    name: 'weakened runner',
    isCurrent: () => false,
    run: async (/** @type {import('./lib/step.mjs').StepContext} */ { update }) => {
      const triple = await readHostTriple(project);
      const program = 'playa-weakened-runner';
      const args = ['build', '--locked', '--release', '-p', 'playa-runner', '--bin', program];
      const features = ['--features', 'weakened-runner', '--message-format', 'json-render-diagnostics'];
      const built = await runCargo([...args, ...features, '--target', triple], {
        project,
        name: 'weakened-runner',
        update,
        signal,
      });
      installExecutable(built.executables, program, path.join(project.buildFolder, 'test-bin', program));
      return 'built';
    },
  };
  const { failures } = await runSteps([step], { display, signal });
  failures.forEach(({ name, error }) => printFailure(display, name, error));
}

/** @returns {Promise<import('./lib/test-counts.mjs').TestCounts>} */
async function runVitest() {
  const report = path.join(project.buildFolder, 'reports/vitest.json');
  mkdirSync(path.dirname(report), { recursive: true });
  rmSync(report, { force: true });
  const succeeded = await relay(
    project.nodeCommand,
    [
      'node_modules/vitest/vitest.mjs',
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
      ...filters,
    ],
    { cwd: project.root, env: testEnvironment(), signal },
  );
  return countVitest(readIfThere(report), succeeded);
}

/** @returns {Promise<import('./lib/test-counts.mjs').TestCounts>} */
async function runRustTests() {
  const args = ['test', '--locked', '--release', '-p', 'playa-runner', '-p', 'playa-spawner'];
  let triple = '';
  // Apart from running them, as only the build can say how far it is.
  const build = {
    name: 'rust tests',
    isCurrent: () => false,
    run: async (/** @type {import('./lib/step.mjs').StepContext} */ { update }) => {
      triple = await readHostTriple(project);
      await runCargo([...args, '--target', triple, '--no-run'], { project, name: 'rust-tests', update, signal });
      return 'built';
    },
  };
  const { failures } = await runSteps([build], { display, signal });
  failures.forEach(({ name, error }) => printFailure(display, name, error));
  if (triple === '' || failures.length > 0) {
    return countCargoTests('', false);
  }
  let output = '';
  const succeeded = await relay('cargo', [...args, '--target', triple, '--no-fail-fast'], {
    cwd: project.root,
    env: testEnvironment(),
    signal,
    onOutput: (text) => (output += text),
  });
  return countCargoTests(output, succeeded);
}

/**
 * @param {string} file
 * @returns {string | undefined}
 */
function readIfThere(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
