// npm run check: every static check; `npm run check -- --fix` formats, mends what can be mended and writes generated documents.
import path from 'node:path';
import { checkFileSizes } from './checks/file-sizes.mjs';
import { checkGeneratedDocs } from './checks/generated-docs.mjs';
import { runCargo } from './lib/cargo.mjs';
import { runCommand } from './lib/command.mjs';
import { listFiles } from './lib/files.mjs';
import { openSession, statusOfSignal } from './lib/session.mjs';
import { runSteps } from './lib/step.mjs';
import { prepareTools, printFailure } from './prepare.mjs';
import { readHostTriple } from './steps/rust-toolchain.mjs';

const session = openSession();
const { project, display, signal } = session;
const fix = process.argv.includes('--fix');

/**
 * @param {string} name
 * @param {(context: import('./lib/step.mjs').StepContext) => Promise<string>} run
 * @param {string[]} [after]
 * @returns {import('./lib/step.mjs').Step}
 */
const check = (name, run, after = []) => ({ name, after, isCurrent: () => false, run });

/**
 * A check by a program of node_modules.
 * @param {string} name
 * @param {string} script relative to node_modules
 * @param {string[]} args
 * @param {string[]} [after]
 */
const nodeCheck = (name, script, args, after) =>
  check(
    name,
    async (context) => {
      context.update(args.join(' '));
      await runCommand(project.nodeCommand, [path.join('node_modules', script), ...args], {
        cwd: project.root,
        env: project.env,
        logFile: path.join(project.buildFolder, `logs/check-${name}.log`),
        signal: context.signal,
      });
      return 'ok';
    },
    after,
  );

/**
 * A check by cargo.
 * @param {string} name
 * @param {string[]} args
 * @param {string[]} [after]
 */
const cargoCheck = (name, args, after) =>
  check(
    name,
    async (context) => {
      const [command, ...rest] = args;
      // Named, so that the flags of static linking do not reach build scripts and macros, which cannot be linked statically.
      const target = ['--target', await readHostTriple(project)];
      const options = { project, name: `check-${name}`, update: context.update, signal: context.signal };
      await runCargo([/** @type {string} */ (command), ...target, ...rest], options);
      return 'ok';
    },
    after,
  );

if (await prepareTools(session)) {
  const { failures } = await runSteps(
    [
      // Formatting changes what the others read.
      nodeCheck('oxfmt', 'oxfmt/bin/oxfmt', fix ? ['.'] : ['--check', '.']),
      nodeCheck('oxlint', 'oxlint/bin/oxlint', fix ? ['--fix', '.'] : ['.'], ['oxfmt']),
      // Not cargo fmt: it knows only the packages of one workspace, and examples and test guests have their own.
      check('rustfmt', async (context) => {
        const files = listFiles(project.root, '.').filter((name) => name.endsWith('.rs'));
        context.update(`${files.length} files`);
        await runCommand('rustfmt', ['--edition', '2024', '--color', 'never', ...(fix ? [] : ['--check']), ...files], {
          cwd: project.root,
          env: project.env,
          logFile: path.join(project.buildFolder, 'logs/check-rustfmt.log'),
          signal: context.signal,
        });
        return 'ok';
      }),
      nodeCheck('tsc', 'typescript/bin/tsc', ['-p', 'tsconfig.json']),
      nodeCheck('tsc-examples', 'typescript/bin/tsc', ['-p', 'examples/tsconfig.json']),
      nodeCheck('tsc-setup', 'typescript/bin/tsc', ['-p', 'setup/tsconfig.json']),
      check('file sizes', async () => checkFileSizes(project)),
      check('documents', () => checkGeneratedDocs(project, { fix })),
      // Apart, as they are built: together, cargo would unite their features.
      cargoCheck(
        'clippy-runner',
        ['clippy', '--locked', '-p', 'playa-runner', '-p', 'playa-spawner', '--all-targets', '--', '-D', 'warnings'],
        ['rustfmt'],
      ),
      cargoCheck(
        'clippy-compiler',
        ['clippy', '--locked', '-p', 'playa-compiler', '--all-targets', '--', '-D', 'warnings'],
        ['clippy-runner'],
      ),
    ],
    { display, signal, keepGoing: true },
  );
  failures.forEach(({ name, error }) => printFailure(display, name, error));
  display.note(
    failures.length === 0
      ? 'all checks pass'
      : `${failures.length} checks fail: ${failures.map(({ name }) => name).join(', ')}`,
  );
  process.exitCode = failures.length === 0 ? 0 : 1;
} else {
  process.exitCode = 1;
}
session.end();
const stoppedBy = session.stoppedBy();
if (stoppedBy !== undefined) {
  process.exitCode = statusOfSignal(stoppedBy);
}
