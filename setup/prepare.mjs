import path from 'node:path';
import { describeFailure } from './lib/failure.mjs';
import { takeLock } from './lib/lock.mjs';
import { runSteps } from './lib/step.mjs';
import { createDoctorStep } from './steps/doctor-function.mjs';
import { createExamplesStep } from './steps/example-functions.mjs';
import { createNodeRuntimeStep } from './steps/node-runtime.mjs';
import { createNpmStep } from './steps/npm-packages.mjs';
import { checkPlatform } from './steps/platform.mjs';
import { createRunnerStep } from './steps/runner-binary.mjs';
import { checkRustToolchain } from './steps/rust-toolchain.mjs';
import { checkSandbox } from './steps/sandbox.mjs';
import { BUBBLEWRAP, C_COMPILER, provideSystemPackages } from './steps/system-packages.mjs';
import { createWasmtimeStep } from './steps/wasmtime-command.mjs';

/**
 * @typedef {object} SetupContext
 * @property {import('./lib/project.mjs').Project} project
 * @property {import('./lib/display.mjs').Display} display
 * @property {AbortSignal} signal stops it
 */

/**
 * Does everything that a fresh checkout needs before it can serve, and nothing that is done already.
 * Prints what fails and how to mend it.
 * @param {SetupContext} context
 * @returns {Promise<boolean>} whether all is there now
 */
export function prepare(context) {
  return lockCheckout(context, prepareLocked);
}

/**
 * Does the part of it that needs no sandbox and compiles nothing: what the static checks work with.
 * @param {SetupContext} context
 * @returns {Promise<boolean>} whether all is there now
 */
export function prepareTools(context) {
  return lockCheckout(context, async ({ project, display, signal }) => {
    await checkRustToolchain(project);
    return runAndReport([npmStep(project), createNodeRuntimeStep(project, process.version)], { display, signal });
  });
}

/**
 * @param {SetupContext} context
 * @param {(context: SetupContext) => Promise<boolean>} work
 * @returns {Promise<boolean>} false when the work failed; the reason has been printed then
 */
async function lockCheckout(context, work) {
  const { project, display, signal } = context;
  try {
    checkPlatform({ platform: process.platform, arch: process.arch, nodeVersion: process.version });
    const onWait = () => display.note('another set-up of this checkout is running; waiting for it');
    const release = await takeLock(path.join(project.buildFolder, 'setup.lock'), onWait, signal);
    try {
      return await work(context);
    } finally {
      release();
    }
  } catch (error) {
    printFailure(display, 'set-up', error);
    return false;
  }
}

/**
 * @param {SetupContext} context
 * @returns {Promise<boolean>}
 */
async function prepareLocked({ project, display, signal }) {
  const wasmtime = createWasmtimeStep(project);
  const runner = createRunnerStep(project);

  const isRoot = process.getuid?.() === 0;
  const needsCargo = runner.needsBuild() || (await wasmtime.needsBuild());
  const problems = await findProblems([
    () =>
      provideSystemPackages(needsCargo ? [BUBBLEWRAP, C_COMPILER] : [BUBBLEWRAP], { project, display, signal, isRoot }),
    () => checkSandbox({ env: project.env, isRoot }),
    ...(needsCargo ? [() => checkRustToolchain(project)] : []),
  ]);
  problems.forEach((problem) => printFailure(display, '', problem));
  if (problems.length > 0) {
    return false;
  }

  // The longest comes first: what the others need of the two cores is little.
  const node = createNodeRuntimeStep(project, process.version);
  return runAndReport(
    [wasmtime, runner, npmStep(project), node, createExamplesStep(project), createDoctorStep(project)],
    { display, signal },
  );
}

/**
 * @param {import('./lib/project.mjs').Project} project
 */
function npmStep(project) {
  return createNpmStep(project, { name: 'npm packages', folder: '.', isNeeded: () => true });
}

/**
 * @param {import('./lib/step.mjs').Step[]} steps
 * @param {{ display: import('./lib/display.mjs').Display, signal: AbortSignal }} context
 * @returns {Promise<boolean>} whether all succeeded; what did not has been printed
 */
async function runAndReport(steps, { display, signal }) {
  const { failures } = await runSteps(steps, { display, signal });
  failures.forEach(({ name, error }) => printFailure(display, name, error));
  return failures.length === 0 && !signal.aborted;
}

/**
 * Checks one after the other, all of them, so that a person learns at once of everything that is missing.
 * @param {(() => Promise<void>)[]} checks
 * @returns {Promise<unknown[]>} what they rejected with
 */
async function findProblems(checks) {
  /** @type {unknown[]} */
  const problems = [];
  for (const check of checks) {
    await check().catch((error) => problems.push(error));
  }
  return problems;
}

/**
 * @param {import('./lib/display.mjs').Display} display
 * @param {string} what failed; nothing where the message says it
 * @param {unknown} error
 */
export function printFailure(display, what, error) {
  const [first, ...rest] = describeFailure(error);
  display.note(
    [`✗ ${what === '' ? '' : `${what}: `}${first}`, ...rest.map((line) => (line === '' ? '' : `  ${line}`))].join('\n'),
  );
}
