/** A runner that is bound to a function and counts against the budget. */
export type BudgetedRunner = {
  /** Milliseconds on the monotonic clock when it last served; `undefined` while it serves. */
  idleSinceMs: () => number | undefined;
  /** Ends it. */
  retire: () => void;
};

/** Bounds how many runners are bound to functions at once. */
export type RunnerBudget = {
  /**
   * Takes a place, ending the runner that has been idle for longest where none is free; `false` when all are busy. The last quarter is kept for
   * functions that have none yet (`first`), so that those who have many cannot lock them out.
   */
  tryTake: (owner: object, first: boolean) => boolean;
  /**
   * Calls back once when a place may be free; the callee tries again and returns whether it still wanted one. First come, first called;
   * who no longer wants a place leaves it to the next.
   */
  onFree: (callback: () => boolean) => void;
  /** Registers the runner that a taken place is used for. */
  add: (runner: BudgetedRunner) => void;
  /** Gives a place back, with the runner that used it if there was one. */
  giveBack: (runner: BudgetedRunner | undefined) => void;
  /** A runner has become idle: whoever waits may have its place. */
  idle: () => void;
  /** Ends the runners that have been idle for longer than that. */
  reap: (idleMs: number) => void;
  /** The owner has no runner any more and wants none. */
  leave: (owner: object) => void;
  /**
   * What an owner may keep while others wait: `Infinity` while nobody does, else an equal part of the places, and 0 where there are more owners
   * than places, so that they take turns.
   */
  share: () => number;
  /** A place can be taken without ending any runner, and without touching what is kept for functions that have none. */
  hasFreePlace: () => boolean;
  /** Places taken. */
  taken: () => number;
};

/** A budget of `places` runners. */
export function createRunnerBudget(places: number, nowMs: () => number): RunnerBudget {
  const runners = new Set<BudgetedRunner>();
  const waiting: (() => boolean)[] = [];
  const owners = new Set<object>();
  const reserved = Math.floor(places / 4);
  let taken = 0;

  const retireLongestIdle = (): boolean => {
    let longest: BudgetedRunner | undefined;
    let since = Infinity;
    for (const runner of runners) {
      const idleSince = runner.idleSinceMs();
      if (idleSince !== undefined && idleSince < since) {
        longest = runner;
        since = idleSince;
      }
    }
    // It gives its place back when it is told to end.
    longest?.retire();
    return longest !== undefined;
  };

  const wakeNext = (): void => {
    const asked = waiting.splice(0);
    while (asked.length > 0) {
      const before = taken;
      const wanted = asked.shift()!();
      // The place is used; the others go on waiting, before those who came meanwhile.
      if (wanted && taken > before) break;
    }
    waiting.unshift(...asked);
  };

  return {
    tryTake: (owner, first) => {
      owners.add(owner);
      const most = first ? places : places - reserved;
      if (taken >= most && (!retireLongestIdle() || taken >= most)) return false;
      taken++;
      return true;
    },
    onFree: (callback) => void waiting.push(callback),
    add: (runner) => void runners.add(runner),
    giveBack: (runner) => {
      if (runner !== undefined && !runners.delete(runner)) return;
      taken--;
      wakeNext();
    },
    idle: wakeNext,
    reap: (idleMs) => {
      const limit = nowMs() - idleMs;
      for (const runner of [...runners]) {
        const idleSince = runner.idleSinceMs();
        if (idleSince !== undefined && idleSince < limit) runner.retire();
      }
    },
    leave: (owner) => void owners.delete(owner),
    share: () => (waiting.length === 0 ? Infinity : Math.floor(places / owners.size)),
    hasFreePlace: () => taken < places - reserved,
    taken: () => taken,
  };
}
