// Top-level code runs once, while the function is built. Randomness and fine clocks have no meaning there: every instance
// would start with the same "random" value. The engine itself refuses fetch and timers then; what it answers with a crash
// of the build is refused here with an error that has a stack.

type Method = (this: unknown, ...values: unknown[]) => unknown;
type Guarded = { readonly owner: Record<string, unknown>; readonly name: string; readonly native: unknown };

let initializing = true;
const guarded: Guarded[] = [];

function guard(owner: unknown, name: string, label: string): void {
  const target = owner as Record<string, unknown>;
  const native = target[name];
  if (typeof native !== 'function') return;
  guarded.push({ owner: target, name, native });
  // It passes calls on later: a module may have kept it in a variable.
  const guardedMethod: Method = function (this: unknown, ...values: unknown[]) {
    if (initializing) {
      throw new TypeError(`${label} can only be used during request handling, not during initialization`);
    }
    return (native as Method).apply(this, values);
  };
  target[name] = guardedMethod;
}

/** Makes the functions that need a running request fail clearly until `endInitialization`. */
export function beginInitialization(): void {
  guard(Math, 'random', 'Math.random');
  guard(globalThis.crypto, 'getRandomValues', 'crypto.getRandomValues');
  guard(globalThis.crypto, 'randomUUID', 'crypto.randomUUID');
  guard(globalThis.performance, 'now', 'performance.now');
}

/** Whether the function's modules are still being evaluated. */
export function isInitializing(): boolean {
  return initializing;
}

/** Called when the function's modules have been evaluated. */
export function endInitialization(): void {
  initializing = false;
  for (const { owner, name, native } of guarded) {
    owner[name] = native;
  }
}
