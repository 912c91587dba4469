import { chmodSync, copyFileSync, mkdirSync, renameSync } from 'node:fs';
import path from 'node:path';
import { runCommand } from './command.mjs';
import { SetupFailure } from './failure.mjs';

/** Failures of a build that have a known remedy: what cargo prints, and what to do. */
const REMEDIES = [
  {
    pattern: /linker `cc` not found|failed to find tool "cc"/,
    remedy: 'install a C compiler: sudo apt-get install gcc libc6-dev (Fedora: sudo dnf install gcc glibc-static)',
  },
  {
    pattern: /(cannot find|unable to find library) -l(c|m|pthread|gcc_eh)\b/,
    remedy: 'install the static C library: sudo apt-get install libc6-dev (Fedora: sudo dnf install glibc-static)',
  },
  {
    pattern: /signal: 9, SIGKILL/,
    remedy: 'the machine ran out of memory: use one compiler at a time with CARGO_BUILD_JOBS=1 npm start',
  },
  {
    pattern: /No space left on device/,
    remedy: 'free some disk space (a build needs about 2 GB), or set CARGO_TARGET_DIR to a larger disk',
  },
  {
    pattern: /failed to download|Could not resolve host|network failure|spurious network error/,
    remedy: 'check the network or its proxy settings, and start again: what was downloaded is kept',
  },
  {
    pattern: /lock file .* needs to be updated|cannot update the lock file/,
    remedy: 'Cargo.lock does not match the Cargo.toml files: run cargo update --workspace and commit Cargo.lock',
  },
];

/**
 * @typedef {object} CargoOptions
 * @property {import('./project.mjs').Project} project
 * @property {string} name of the step, for its log file
 * @property {(text: string) => void} update takes the progress
 * @property {AbortSignal} signal
 */

/**
 * Runs cargo and shows how far it is.
 * @param {string[]} args subcommand first
 * @param {CargoOptions} options
 * @returns {Promise<{ executables: string[], fresh: boolean }>} the programs it built or found up to date, in cargo's
 *   order, and whether there was nothing to do; both only with a JSON message format
 */
export async function runCargo(args, { project, name, update, signal }) {
  // These would replace the flags in .cargo/config.toml, which make the runner static: another would not start in its sandbox.
  const { RUSTFLAGS: _, CARGO_ENCODED_RUSTFLAGS: __, ...env } = project.env;
  const result = { executables: /** @type {string[]} */ ([]), fresh: true };
  await runCommand('cargo', args, {
    cwd: project.root,
    // Cargo draws its progress bar, with the number of crates, only where it is told to or sees a terminal.
    env: {
      ...env,
      CARGO_TERM_PROGRESS_WHEN: 'always',
      CARGO_TERM_PROGRESS_WIDTH: '160',
      CARGO_TERM_COLOR: 'never',
    },
    logFile: path.join(project.buildFolder, `logs/${name}.log`),
    signal,
    explain: explainCargo,
    onLine: (line) => {
      const progress = parseProgress(line);
      if (progress !== undefined) {
        update(progress);
        return true;
      }
      const message = parseMessage(line);
      if (message?.executable) {
        result.executables.push(message.executable);
      }
      result.fresh &&= message?.fresh !== false;
      return message !== undefined;
    },
  });
  return result;
}

/**
 * @param {string} output the last lines of a failed build
 * @returns {string | undefined} what to do, where that is known
 */
export function explainCargo(output) {
  return REMEDIES.find(({ pattern }) => pattern.test(output))?.remedy;
}

/**
 * Reads a line of cargo's progress, such as `Building [==>   ] 143/220: wasmtime-environ, tokio`.
 * @param {string} line
 * @returns {string | undefined} for example `compiling 143/220 wasmtime-environ`; undefined for any other line
 */
export function parseProgress(line) {
  const bar = /^\s*(Building|Downloading) \[[=> ]*\] (\d+\/\d+)(?:: ([^,\s(]*))?/.exec(line);
  if (bar !== null) {
    return `${bar[1] === 'Building' ? 'compiling' : 'downloading'} ${bar[2]} ${bar[3] ?? ''}`.trimEnd();
  }
  const activity = /^\s*(Downloaded|Downloading|Updating|Locking|Fetch|Blocking)\b(.*)/.exec(line);
  return activity === null
    ? undefined
    : `${activity[1]?.toLowerCase()}${(activity[2] ?? '').replace(/ \(\/.*\)$/, '').trimEnd()}`;
}

/**
 * Reads a line of cargo's JSON messages.
 * @param {string} line
 * @returns {{ executable?: string | null, fresh?: boolean } | undefined} undefined for any other line
 */
function parseMessage(line) {
  if (!line.startsWith('{"reason":')) {
    return undefined;
  }
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/**
 * Puts a program that cargo built where the rest of the project looks for it. In one move, because the old one may be running.
 * @param {string[]} executables what cargo reported
 * @param {string} program file name of the wanted one
 * @param {string} file where it is to be
 */
export function installExecutable(executables, program, file) {
  const built = executables.findLast((each) => path.basename(each) === program);
  if (built === undefined) {
    throw new SetupFailure(`cargo built no program named ${program}`);
  }
  mkdirSync(path.dirname(file), { recursive: true });
  const draft = `${file}.${process.pid}`;
  copyFileSync(built, draft);
  chmodSync(draft, 0o755);
  renameSync(draft, file);
}
