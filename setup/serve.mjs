import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { statusOfSignal } from './lib/session.mjs';
import { findProgram } from './steps/system-packages.mjs';

/**
 * Options of `playa serve` that `npm start` sets, unless the user sets them: the variable is the option's other name.
 */
const DEFAULTS = [
  { flag: '--bucket', variable: 'PLAYA_BUCKET', value: './bucket' },
  { flag: '--listen', variable: 'PLAYA_LISTEN', value: '127.0.0.1:8080' },
];

/** One Ctrl-C reaches this process twice under npm: from the terminal and from npm. This long they count as one. */
const SAME_SIGNAL_MS = 500;

/**
 * Serves until it is told to stop.
 * @param {import('./lib/project.mjs').Project} project
 * @param {string[]} args the user's own, for `playa serve`
 * @returns {Promise<number>} the exit status
 */
export function serve(project, args) {
  const served = [...args, ...missingDefaults(args, project.env)];
  process.stderr.write(describeFirstSteps(served, listFunctions(project.bucketFolder)));
  const playa = path.join(project.root, 'packages/dispatcher/bin/playa');
  const [command, ...rest] = [...endWithParent(project.env), playa, 'serve', ...served];
  return new Promise((resolve, reject) => {
    // A session of its own: a terminal's Ctrl-C reaches it through us alone, and only once.
    const child = spawn(/** @type {string} */ (command), rest, {
      cwd: project.root,
      env: project.env,
      stdio: ['ignore', 'inherit', 'inherit'],
      detached: true,
    });
    let sentAt = -Infinity;
    const forward = (/** @type {NodeJS.Signals} */ signal) => {
      if (performance.now() - sentAt >= SAME_SIGNAL_MS) {
        sentAt = performance.now();
        child.kill(signal);
      }
    };
    const signals = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);
    signals.forEach((signal) => process.on(signal, forward));
    child.once('error', reject);
    child.once('exit', (status, signal) => {
      signals.forEach((each) => process.off(each, forward));
      resolve(status ?? statusOfSignal(signal ?? 'SIGKILL'));
    });
  });
}

/**
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} env
 * @returns {string[]} options that the user has set neither by flag nor by variable
 */
export function missingDefaults(args, env) {
  const isSet = (/** @type {string} */ flag) => args.some((arg) => arg === flag || arg.startsWith(`${flag}=`));
  return DEFAULTS.filter(({ flag, variable }) => !isSet(flag) && !env[variable]).flatMap(({ flag, value }) => [
    flag,
    value,
  ]);
}

/**
 * What to put before a command so that the kernel stops it when this process dies, however it does.
 * @param {NodeJS.ProcessEnv} env
 * @returns {string[]}
 */
function endWithParent(env) {
  const setpriv = findProgram('setpriv', env.PATH);
  return setpriv === undefined ? [] : [setpriv, '--pdeathsig', 'TERM', '--'];
}

/**
 * @param {string} bucket
 * @returns {string[]} names of the functions in its top folder
 */
function listFunctions(bucket) {
  return readdirSync(bucket)
    .filter((name) => name.endsWith('.cwasm'))
    .map((name) => path.basename(name, '.cwasm'));
}

/**
 * @param {string[]} args of `playa serve`
 * @param {string[]} functions names in the bucket, without `.cwasm`
 * @returns {string} what to try
 */
export function describeFirstSteps(args, functions) {
  const listen = valueOf(args, '--listen') ?? '';
  // With port 0 the system chooses one: only the server knows it.
  const url = listen === '' || listen.endsWith(':0') ? 'URL' : `http://${listen}`;
  const calls = functions.map((name) => `  curl -i ${url}/invoke/${name}.cwasm`);
  return [
    '',
    `Serving. When it says "listening"${url === 'URL' ? ' and its URL' : ''}, try in another terminal:`,
    ...calls,
    '',
    '',
  ].join('\n');
}

/**
 * @param {string[]} args
 * @param {string} flag
 * @returns {string | undefined} the last value given to a flag, in either spelling
 */
function valueOf(args, flag) {
  return args
    .map((arg, index) =>
      arg === flag ? args[index + 1] : arg.startsWith(`${flag}=`) ? arg.slice(flag.length + 1) : undefined,
    )
    .findLast((value) => value !== undefined);
}
