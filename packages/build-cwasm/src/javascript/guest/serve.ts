// Calls a function's handler for each request, whichever form it has.

import { errorText } from './error-text.ts';
import { endInitialization } from './initialization.ts';
import type { FetchEvent } from './listeners.ts';
import { fetchListeners, listenNatively } from './listeners.ts';
import { createEnvironment, type Environment } from './environment.ts';
import { sendable } from './response-clone.ts';

type Handler = (request: Request, env: Environment, context: Context) => unknown;

/** The first words of the error that says there is no handler; build-cwasm knows it by them. */
const NO_HANDLER = 'playa:no-handler';

/** Printed when the function's modules have been evaluated, which a top-level await may put off for ever. */
const INITIALIZED = 'playa:initialized';

/**
 * Answers the engine's fetch events with a function's handler.
 *
 * @param source the namespace of the function's module
 * @param environment what the handler gets as its second argument
 */
export function serve(source: Record<string, unknown>, environment: Environment): void {
  endInitialization();
  const handler = findHandler(source);
  listenNatively((event) => {
    event.respondWith(answer(event, handler ?? callListeners(event), environment));
  });
  rehearse();
  console.log(INITIALIZED);
}

/**
 * Runs what each request runs: the engine compiles a function when it is first called, and what it compiles here is
 * compiled already in every instance. Halves the work of a small function.
 */
function rehearse(): void {
  const environment = createEnvironment(() => [['NAME', 'value']]);
  const event = { request: undefined, waitUntil() {} } as unknown as FetchEvent;
  void answer(event, (_, env) => new Response(env['NAME'], { headers: {} }), environment);
  void [...Object.entries(environment)];
}

function findHandler(source: Record<string, unknown>): Handler | undefined {
  const exported = source['default'];
  const handler = asHandler(exported) ?? asHandler((exported as Record<string, unknown> | undefined)?.['default']);
  if (handler === undefined && fetchListeners.length === 0) {
    throw new Error(`${NO_HANDLER} ${Object.keys(source).join(', ') || 'nothing'}`);
  }
  return handler;
}

function asHandler(exported: unknown): Handler | undefined {
  const fetch = (exported as { fetch?: unknown } | null | undefined)?.fetch;
  // Called as a method: a class or an app keeps its state in `this`.
  if (typeof fetch === 'function') return (request, env, context) => fetch.call(exported, request, env, context);
  if (typeof exported === 'function') return exported as Handler;
  return undefined;
}

function callListeners(event: FetchEvent): Handler {
  return () => {
    let answered: Response | Promise<Response> | undefined;
    Object.defineProperty(event, 'respondWith', {
      value(response: Response | Promise<Response>) {
        if (answered !== undefined) throw new TypeError('respondWith was called twice');
        answered = response;
      },
    });
    for (const listener of fetchListeners) {
      listener.call(globalThis, event);
      if (answered !== undefined) return answered;
    }
    throw new TypeError('no listener for "fetch" called event.respondWith before it returned');
  };
}

async function answer(event: FetchEvent, handler: Handler, environment: Environment): Promise<Response> {
  try {
    const response = await handler(event.request, environment, new Context(event));
    if (!(response instanceof Response)) {
      throw new TypeError(`the handler returned ${describe(response)} where a Response is expected`);
    }
    return sendable(response);
  } catch (error) {
    report(error);
    return new Response('Internal Server Error\n', { status: 500, headers: { 'content-type': 'text/plain' } });
  }
}

class Context {
  readonly #event: FetchEvent;

  constructor(event: FetchEvent) {
    this.#event = event;
  }

  waitUntil(promise: unknown): void {
    this.#event.waitUntil(Promise.resolve(promise).catch(report));
  }

  /** There is no origin server behind a function that could answer in its place. */
  passThroughOnException(): void {}
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return typeof value === 'object'
    ? `an object (${value.constructor?.name ?? 'without prototype'})`
    : `a ${typeof value}`;
}

/** Writes an error, its stack and its causes to stderr. */
function report(error: unknown): void {
  console.error(errorText(error, 'Uncaught '));
}
