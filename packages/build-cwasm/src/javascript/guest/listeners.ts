// Keeps the listeners that a function adds for fetch events, so that serve.ts can call them with its own care for errors.

export type FetchEvent = Event & {
  readonly request: Request;
  respondWith(response: Response | Promise<Response>): void;
  waitUntil(promise: Promise<unknown>): void;
};

export type FetchListener = (event: FetchEvent) => unknown;

type Target = {
  addEventListener(type: string, listener: FetchListener, options?: unknown): void;
  removeEventListener?(type: string, listener: FetchListener, options?: unknown): void;
};

const target = globalThis as unknown as Target;
const addNative = target.addEventListener;
const removeNative = target.removeEventListener;

/** Listeners for `fetch`, in the order in which they were added. */
export const fetchListeners: FetchListener[] = [];

/** Adds a listener to the engine itself. */
export function listenNatively(listener: FetchListener): void {
  addNative.call(globalThis, 'fetch', listener);
}

/** Puts the keeping versions of addEventListener and removeEventListener in place. */
export function keepListeners(): void {
  Object.assign(target, { addEventListener, removeEventListener });
}

function addEventListener(type: string, listener: FetchListener, options?: unknown): void {
  if (type !== 'fetch') return addNative.call(globalThis, type, listener, options);
  if (!fetchListeners.includes(listener)) fetchListeners.push(listener);
}

function removeEventListener(type: string, listener: FetchListener, options?: unknown): void {
  if (type !== 'fetch') return removeNative?.call(globalThis, type, listener, options);
  const index = fetchListeners.indexOf(listener);
  if (index >= 0) fetchListeners.splice(index, 1);
}
