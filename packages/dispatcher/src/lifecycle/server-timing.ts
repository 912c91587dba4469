import type { Done } from '../runner/response-frames.ts';
import type { Invocation } from './invocation.ts';

/** The value of `server-timing` (https://www.w3.org/TR/server-timing/): the steps in milliseconds. */
export function serverTiming(invocation: Invocation, done: Done): string {
  const { startedMs, routedMs, resolvedMs, lentMs, loadUs, tier } = invocation;
  const load = loadUs === undefined ? '' : `load;dur=${fromMicros(loadUs)}, `;
  return (
    `route;dur=${fromMs(routedMs - startedMs)}, artifact;dur=${fromMs(resolvedMs - routedMs)};desc=${tier}, ` +
    `pool;dur=${fromMs(lentMs - resolvedMs)}, ${load}guest;dur=${fromMicros(done.wallUs)}`
  );
}

const fromMs = (ms: number): string => fromMicros(Math.max(0, Math.round(ms * 1000)));

/** Milliseconds with three decimals out of whole numbers: printing a fraction takes several times as long. */
function fromMicros(us: number): string {
  const thousandths = us % 1000;
  const zeros = thousandths < 10 ? '00' : thousandths < 100 ? '0' : '';
  return `${(us - thousandths) / 1000}.${zeros}${thousandths}`;
}
