import type { Done } from "../runner/response-frames.ts";
import type { Invocation } from "./invocation.ts";

/** The value of `server-timing` (https://www.w3.org/TR/server-timing/): the steps in milliseconds. */
export function serverTiming(invocation: Invocation, done: Done): string {
  const { startedMs, routedMs, resolvedMs, lentMs, loadUs } = invocation;
  const load = loadUs === undefined ? "" : `load;dur=${milliseconds(loadUs / 1000)}, `;
  return (
    `route;dur=${milliseconds(routedMs - startedMs)}, artifact;dur=${milliseconds(resolvedMs - routedMs)}, ` +
    `pool;dur=${milliseconds(lentMs - resolvedMs)}, ${load}guest;dur=${milliseconds(done.wallUs / 1000)}`
  );
}

/** Rounded to microseconds. `toFixed` costs more than all the rest of a header. */
function milliseconds(value: number): number {
  return Math.round(value * 1000) / 1000;
}
