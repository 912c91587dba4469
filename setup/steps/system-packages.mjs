import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { runCommand } from '../lib/command.mjs';
import { SetupFailure } from '../lib/failure.mjs';

/**
 * A program of the operating system, and the packages it comes in.
 * @typedef {object} SystemProgram
 * @property {string} command
 * @property {string} purpose
 * @property {string} apt packages of Debian and Ubuntu
 * @property {string} dnf packages of Fedora and its kin
 * @property {string} pacman packages of Arch
 */

/** @type {SystemProgram} */
export const BUBBLEWRAP = {
  command: 'bwrap',
  purpose: 'bubblewrap makes the sandbox around every function',
  apt: 'bubblewrap',
  dnf: 'bubblewrap',
  pacman: 'bubblewrap',
};

/** @type {SystemProgram} */
export const C_COMPILER = {
  command: 'cc',
  purpose: 'a C compiler links the Rust programs',
  apt: 'gcc libc6-dev',
  dnf: 'gcc glibc-static',
  pacman: 'gcc',
};

/**
 * Makes sure that programs of the operating system are there. As root and with apt it installs what is missing.
 * @param {SystemProgram[]} programs
 * @param {object} context
 * @param {import('../lib/project.mjs').Project} context.project
 * @param {import('../lib/display.mjs').Display} context.display
 * @param {AbortSignal} context.signal
 * @param {boolean} context.isRoot
 */
export async function provideSystemPackages(programs, { project, display, signal, isRoot }) {
  const missing = programs.filter(({ command }) => findProgram(command, project.env.PATH) === undefined);
  if (missing.length === 0) {
    return;
  }
  if (!isRoot || findProgram('apt-get', project.env.PATH) === undefined) {
    throw new SetupFailure(missing.map(({ command, purpose }) => `${command} is missing: ${purpose}`).join('; '), {
      remedy: describeInstallation(missing, (command) => findProgram(command, project.env.PATH) !== undefined),
    });
  }
  const packages = missing.flatMap(({ apt }) => apt.split(' '));
  await installWithApt(packages, { project, display, signal });
  const still = missing.filter(({ command }) => findProgram(command, project.env.PATH) === undefined);
  if (still.length > 0) {
    throw new SetupFailure(
      `apt-get installed ${packages.join(' ')}, but not ${still.map(({ command }) => command).join(' and ')}`,
      {
        remedy: `look at it by hand: apt-get install --reinstall ${packages.join(' ')}`,
      },
    );
  }
}

/**
 * Where a program is on the search path.
 * @param {string} command
 * @param {string | undefined} searchPath folders, separated by colons
 * @returns {string | undefined}
 */
export function findProgram(command, searchPath) {
  return (searchPath ?? '')
    .split(':')
    .filter((folder) => folder !== '')
    .map((folder) => path.join(folder, command))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/**
 * @param {SystemProgram[]} missing
 * @param {(command: string) => boolean} has whether a program is on this machine
 * @returns {string} the command that installs them, for the package manager of this machine
 */
export function describeInstallation(missing, has) {
  const packages = (/** @type {'apt' | 'dnf' | 'pacman'} */ manager) => missing.map((each) => each[manager]).join(' ');
  if (has('apt-get')) {
    return `sudo apt-get install ${packages('apt')}`;
  }
  if (has('dnf')) {
    return `sudo dnf install ${packages('dnf')}`;
  }
  return has('pacman')
    ? `sudo pacman -S ${packages('pacman')}`
    : `install with this system's package manager: ${packages('apt')}`;
}

/**
 * @param {string[]} packages
 * @param {{ project: import('../lib/project.mjs').Project, display: import('../lib/display.mjs').Display, signal: AbortSignal }} context
 */
async function installWithApt(packages, { project, display, signal }) {
  const line = display.begin('system packages');
  const apt = (/** @type {string[]} */ args, /** @type {string} */ log) =>
    runCommand('apt-get', [...args], {
      cwd: project.root,
      env: { ...project.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
      logFile: path.join(project.buildFolder, `logs/${log}.log`),
      signal,
      onLine: (text) => line.update(`installing ${packages.join(' ')}: ${text}`),
      explain: () => `install them by hand: apt-get update && apt-get install ${packages.join(' ')}`,
    });
  const install = () => apt(['install', '--yes', '--no-install-recommends', ...packages], 'apt-install');
  try {
    // The package lists of a fresh image are often absent or old: only then are they worth the time.
    await install().catch(() => apt(['update'], 'apt-update').then(install));
  } catch (error) {
    line.failed('failed');
    throw error;
  }
  line.done(`installed ${packages.join(' ')}`);
}
