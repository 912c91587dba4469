/** How often it is looked whether the parent is still there: how long at most a command outlives a killed npm. */
const LOOK_MS = 1_000;

/**
 * Tells when npm, which started this command, is gone. npm hands signals on, but when it is killed itself it cannot.
 * A command that was started without npm may outlive its parent, as with nohup.
 * @param {NodeJS.ProcessEnv} env
 * @param {number} parent process id that the parent had when the command began
 * @param {() => void} onGone called once
 * @returns {() => void} looks no longer
 */
export function watchNpm(env, parent, onGone) {
  if (env.npm_lifecycle_event === undefined) {
    return () => undefined;
  }
  const timer = setInterval(() => {
    if (process.ppid !== parent) {
      clearInterval(timer);
      onGone();
    }
  }, LOOK_MS).unref();
  return () => clearInterval(timer);
}
