import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 10;
const LIMIT_MS = 50_000;

/**
 * Waits for a state that raises no event, such as the end of a process that is not our child.
 * @param what names it in the error
 * @param holds returns undefined as long as it does not hold
 * @throws when it does not hold after 50 s; `describe` says what there is instead
 */
export async function waitUntil<T>(
  what: string,
  holds: () => T | undefined | Promise<T | undefined>,
  describe: () => string = () => '',
): Promise<T> {
  const deadline = performance.now() + LIMIT_MS;
  for (;;) {
    const value = await holds();
    if (value !== undefined) return value;
    if (performance.now() > deadline) throw new Error(`not seen within ${LIMIT_MS} ms: ${what}\n${describe()}`);
    await delay(POLL_MS);
  }
}
