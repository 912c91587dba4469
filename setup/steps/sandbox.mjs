import { existsSync, readFileSync } from 'node:fs';
import { capture } from '../lib/capture.mjs';
import { explainSandboxFailure } from '../lib/sandbox-failure.mjs';
import { SetupFailure } from '../lib/failure.mjs';

/** As root, sandboxes run under unprivileged users of their own; the probe does the same, as nobody. */
const PROBE_UID = 65_534;

/** A program that is in no sandbox. That bubblewrap fails to start it, and nothing before, shows that the sandbox stands. */
const ABSENT_PROGRAM = '/playa-probe';

/**
 * Makes sure that this machine can start the sandboxes that functions run in: the same namespaces, mounts and
 * dropped rights as the real ones, as an unprivileged user also when started as root.
 * @param {{ env: NodeJS.ProcessEnv, isRoot: boolean }} context
 * @returns {Promise<void>} rejects with SetupFailure, which names the setting that is missing and how to allow it
 */
export async function checkSandbox({ env, isRoot }) {
  const user = isRoot ? { uid: PROBE_UID, gid: PROBE_UID } : {};
  const answer = await capture('bwrap', probeArguments(), { env: { PATH: env.PATH, LC_ALL: 'C' }, cwd: '/', ...user });
  if (answer.stderr.includes(`execvp ${ABSENT_PROGRAM}: No such file`)) {
    return;
  }
  const { cause, remedy } = explainSandboxFailure({
    message: answer.stderr,
    readSetting: readKernelSetting,
    hasUserNamespaces: existsSync('/proc/self/ns/user'),
    isContainer: isContainer(),
    isRoot,
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
