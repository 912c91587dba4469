// The types that a TypeScript function is written against: its handler, and the globals that the engine has.
// What is not declared here is not there at run time either. Use with "types": ["@playa/types"] and a "lib" without "dom".

/// <reference path="./globals/events.d.ts" />
/// <reference path="./globals/streams.d.ts" />
/// <reference path="./globals/fetch.d.ts" />
/// <reference path="./globals/url.d.ts" />
/// <reference path="./globals/text.d.ts" />
/// <reference path="./globals/crypto.d.ts" />
/// <reference path="./globals/runtime.d.ts" />
/// <reference path="./globals/modules.d.ts" />

/** What a handler may do beside answering. */
export interface ExecutionContext {
  /**
   * Keeps the function running after its response has been sent, until the promise settles or a limit ends it.
   * A rejection goes to the log.
   */
  waitUntil(promise: Promise<unknown>): void;
  /** Does nothing: there is no other server behind a function. For code that runs elsewhere too. */
  passThroughOnException(): void;
}

/** Environment variables, by their names. One that the policy does not set is undefined. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * A function's default export.
 *
 * @example
 * export default {
 *   fetch(request, env) {
 *     return new Response(`Hello, ${env.NAME}`);
 *   },
 * } satisfies ExportedHandler<{ NAME?: string }>;
 */
export interface ExportedHandler<Env extends { [Name in keyof Env]: string | undefined } = Environment> {
  fetch: FetchHandler<Env>;
}

/** Answers one request. What it throws is answered with status 500; the stack goes to the log. */
export type FetchHandler<Env extends { [Name in keyof Env]: string | undefined } = Environment> = (
  request: Request,
  env: Env,
  context: ExecutionContext,
) => Response | Promise<Response>;
