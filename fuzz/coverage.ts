import { Session, type Profiler } from 'node:inspector';

/** Tells which parts of the program ran. */
export type Coverage = {
  /** Whether something ran since the last call that had not run, or not as often (in powers of two), before. */
  isNew: () => boolean;
  /** Parts that have run so far. */
  seen: () => number;
  close: () => void;
};

/**
 * Counts blocks with V8's precise coverage (https://v8.dev/blog/javascript-code-coverage).
 * @param isMeasured whether a script, by its URL, counts
 */
export function startCoverage(isMeasured: (url: string) => boolean): Coverage {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  const seen = new Set<string>();
  return {
    isNew: () => {
      const before = seen.size;
      // In the same thread it calls back before it returns.
      session.post('Profiler.takePreciseCoverage', (error, { result }: Profiler.TakePreciseCoverageReturnType) => {
        if (error !== null) throw error;
        for (const script of result) if (isMeasured(script.url)) note(seen, script);
      });
      return seen.size > before;
    },
    seen: () => seen.size,
    close: () => session.disconnect(),
  };
}

function note(seen: Set<string>, { scriptId, functions }: Profiler.ScriptCoverage): void {
  for (const { ranges } of functions) {
    for (const { startOffset, endOffset, count } of ranges) {
      if (count > 0) seen.add(`${scriptId}:${startOffset}-${endOffset}:${Math.floor(Math.log2(count))}`);
    }
  }
}
