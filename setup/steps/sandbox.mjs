import { existsSync, readFileSync } from 'node:fs';
import { capture } from '../lib/capture.mjs';
import { explainSandboxFailure } from '../lib/sandbox-failure.mjs';
import { SetupFailure } from '../lib/failure.mjs';

/** As root, each sandbox has an unprivileged user id of its own, from this one on; docs/configuration.md has the same. */
const FIRST_SANDBOX_UID = 200_000;

/** A program that is in no sandbox. That bubblewrap fails to start it, and nothing before, shows that the sandbox stands. */
const ABSENT_PROGRAM = '/playa-probe';

/**
 * Makes sure that this machine can start the sandboxes that functions run in: the same namespaces, mounts and
 * dropped rights as the real ones, as an unprivileged user also when started as root.
 * @param {{ env: NodeJS.ProcessEnv, isRoot: boolean }} context
 * @returns {Promise<void>} rejects with SetupFailure, which names the setting that is missing and how to allow it
 */
export async function checkSandbox({ env, isRoot }) {
  const uid = Number(env.PLAYA_FIRST_SANDBOX_UID || FIRST_SANDBOX_UID);
  const user = isRoot ? { uid, gid: uid } : {};
  const answer = await capture('bwrap', probeArguments(), {
    env: { PATH: env.PATH, LC_ALL: 'C' },
    cwd: '/',
    ...user,
  });
  if (!answer.found || answer.stderr.includes(`execvp ${ABSENT_PROGRAM}: No such file`)) {
    // That it is missing has been said already.
    return;
  }
  const { cause, remedy } = explainSandboxFailure({
    message: answer.stderr,
    spawnError: answer.spawnError,
    readSetting: readKernelSetting,
    hasUserNamespaces: existsSync('/proc/self/ns/user'),
    isContainer: isContainer(),
    isRoot,
    uid,
  });
  throw new SetupFailure(`this machine cannot start sandboxes: ${cause}. Nothing runs without one`, {
    output: answer.stderr.split('\n').filter((line) => line !== ''),
    remedy,
  });
}

/** @returns {string[]} arguments of bubblewrap */
function probeArguments() {
  return [
    '--unshare-all',
    ...['--cap-drop', 'ALL'],
    '--die-with-parent',
    '--new-session',
    '--clearenv',
    ...['--tmpfs', '/'],
    ...['--ro-bind', '/usr', '/in'],
    ...['--remount-ro', '/'],
    '--',
    ABSENT_PROGRAM,
  ];
}

/**
 * @param {string} name of a setting, such as `user/max_user_namespaces`
 * @returns {string | undefined} its value; undefined where this kernel has no such setting
 */
function readKernelSetting(name) {
  try {
    return readFileSync(`/proc/sys/${name}`, 'utf8').trim();
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
}

/** @returns {boolean} whether this is inside a container, whose engine has settings of its own */
function isContainer() {
  return existsSync('/.dockerenv') || existsSync('/run/.containerenv') || process.env.container !== undefined;
}
