import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { watchNpm } from './lib/parent.mjs';
import { statusOfSignal } from './lib/session.mjs';
import { findProgram } from './steps/system-packages.mjs';

/** Where `playa serve` listens when nobody says otherwise; docs/configuration.md has the same. */
const DEFAULT_ADDRESS = '127.0.0.1:8080';

/**
 * What to ask the examples, in this order; other functions are called without a path.
 * @type {Record<string, (url: string) => string>}
 */
const EXAMPLE_CALLS = {
  hello: (url) => `curl -i ${url}/invoke/hello.cwasm`,
  hono: (url) => `curl '${url}/invoke/hono.cwasm/greet/you?times=3'`,
  echo: (url) => `curl --data 'say it again' ${url}/invoke/echo.cwasm`,
};

/** One Ctrl-C reaches this process twice under npm: from the terminal and from npm. This long they count as one. */
const SAME_SIGNAL_MS = 500;

/**
 * Serves until it is told to stop.
 * @param {import('./lib/project.mjs').Project} project
 * @param {string[]} args the user's own, for `playa serve`
 * @param {number} parent process id of who started this command, at its beginning
 * @returns {Promise<number>} the exit status
 */
export function serve(project, args, parent) {
  process.stderr.write(describeFirstSteps(addressOf(args, project), listFunctions(project.bucketFolder)));
  const playa = path.join(project.root, 'packages/dispatcher/bin/playa');
  const [command, ...rest] = [...endWithParent(project.env), playa, 'serve', ...args];
  return new Promise((resolve, reject) => {
    let sentAt = -Infinity;
    const forward = (/** @type {NodeJS.Signals} */ signal) => {
      if (performance.now() - sentAt >= SAME_SIGNAL_MS) {
        sentAt = performance.now();
        // A terminal that was closed is no reason to cut invocations off.
        child.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal);
      }
    };
    const signals = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);
    // Before the server starts: a signal must not end this process alone.
    signals.forEach((signal) => process.on(signal, forward));
    // A session of its own: a terminal's Ctrl-C reaches it through us alone, and only once.
    const child = spawn(/** @type {string} */ (command), rest, {
      cwd: project.root,
      env: project.env,
      stdio: ['ignore', 'inherit', 'inherit'],
      detached: true,
    });
    const unwatch = watchNpm(project.env, parent, () => forward('SIGTERM'));
    child.once('error', reject);
    child.once('exit', (status, signal) => {
      unwatch();
      signals.forEach((each) => process.off(each, forward));
      resolve(status ?? statusOfSignal(signal ?? 'SIGKILL'));
    });
  });
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
 * @param {string | undefined} address where it listens; undefined where only the server knows
 * @param {string[]} functions names in the bucket, without `.cwasm`
 * @returns {string} what to try
 */
export function describeFirstSteps(address, functions) {
  const url = address === undefined ? 'URL' : `http://${address}`;
  const ordered = [
    ...Object.keys(EXAMPLE_CALLS).filter((name) => functions.includes(name)),
    ...functions.filter((name) => !(name in EXAMPLE_CALLS)),
  ];
  const calls = ordered.map((name) => `  ${EXAMPLE_CALLS[name]?.(url) ?? `curl -i ${url}/invoke/${name}.cwasm`}`);
  const hint = address === undefined ? ' and its URL' : '';
  return ['', `Serving. When it says "listening"${hint}, try in another terminal:`, ...calls, '', ''].join('\n');
}

/**
 * @param {string[]} args of `playa serve`
 * @param {{ root: string, env: NodeJS.ProcessEnv }} project
 * @returns {string | undefined} undefined when it is in a file, or the system is to choose the port
 */
export function addressOf(args, { root, env }) {
  const inArgs = args.map((arg, index) =>
    arg === '--listen' ? args[index + 1] : arg.startsWith('--listen=') ? arg.slice('--listen='.length) : undefined,
  );
  const given = inArgs.findLast((value) => value !== undefined) ?? env.PLAYA_LISTEN;
  const hasFile = args.includes('--config') || existsSync(path.join(root, 'playa.toml'));
  const address = given ?? (hasFile ? undefined : DEFAULT_ADDRESS);
  return address?.endsWith(':0') === true ? undefined : address;
}
