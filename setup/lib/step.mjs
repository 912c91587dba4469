/**
 * One part of set-up. It knows whether its results are there already, and how to make them; done twice, it does no harm.
 * @typedef {object} Step
 * @property {string} name shown while it runs
 * @property {string[]} [after] names of steps whose results it needs
 * @property {() => boolean | Promise<boolean>} isCurrent whether its results are there; asked once those it needs are done
 * @property {(context: StepContext) => Promise<string>} run makes them; returns what came of it in a few words
 */

/**
 * @typedef {object} StepContext
 * @property {(text: string) => void} update says what is going on and how far it is
 * @property {AbortSignal} signal the step is to stop, because another failed or the user wants so
 */

/**
 * @typedef {object} StepsOptions
 * @property {import('./display.mjs').Display} display
 * @property {AbortSignal} signal stops everything
 * @property {boolean} [keepGoing] whether the other steps go on when one fails; false by default
 */

/**
 * @typedef {object} StepsResult
 * @property {string[]} ran names of the steps that had something to do
 * @property {{ name: string, error: unknown }[]} failures of steps; more than one only with keepGoing. Steps that were
 *   stopped because of another's failure are not among them
 */

/**
 * Runs steps side by side, each as soon as those it needs are done, and skips those that are current.
 * @param {Step[]} steps a step may only need steps of this list
 * @param {StepsOptions} options
 * @returns {Promise<StepsResult>} when nothing runs any more
 */
export async function runSteps(steps, { display, signal, keepGoing = false }) {
  const stop = new AbortController();
  const stopSignal = AbortSignal.any([signal, stop.signal]);
  /** @type {StepsResult} */
  const result = { ran: [], failures: [] };
  /** @type {Map<string, Promise<boolean>>} whether a step's results are there */
  const finished = new Map();

  /** @param {Step} step */
  const finish = async (step) => {
    const needed = await Promise.all((step.after ?? []).map((name) => finishedStep(name, step)));
    if (needed.includes(false) || stopSignal.aborted) {
      return false;
    }
    try {
      if (await step.isCurrent()) {
        return true;
      }
    } catch (error) {
      return giveUp(step, error);
    }
    const line = display.begin(step.name);
    result.ran.push(step.name);
    try {
      line.done(await step.run({ update: line.update, signal: stopSignal }));
      return true;
    } catch (error) {
      line.failed(stopSignal.aborted ? 'stopped' : 'failed');
      return giveUp(step, error);
    }
  };
  const giveUp = (/** @type {Step} */ step, /** @type {unknown} */ error) => {
    if (!stopSignal.aborted) {
      result.failures.push({ name: step.name, error });
      if (!keepGoing) {
        stop.abort(error);
      }
    }
    return false;
  };
  const finishedStep = (/** @type {string} */ name, /** @type {Step} */ by) => {
    const found = finished.get(name);
    if (found === undefined) {
      throw new Error(`step ${by.name} needs ${name}, which does not come before it`);
    }
    return found;
  };

  for (const step of steps) {
    finished.set(step.name, finish(step));
  }
  await Promise.all(finished.values());
  return result;
}
