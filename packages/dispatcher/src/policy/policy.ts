import type { Isolation } from './isolation.ts';
import type { Limits } from './limits.ts';

/** What a function may use: the one source for everything that the platform grants it. */
export type Policy = {
  readonly limits: Limits;
  readonly isolation: Isolation;
  /** Environment variables, secrets included. */
  readonly env: readonly (readonly [string, string])[];
  /** Where it may connect to, as rules of docs/egress.md; `undefined` where the server's own rules hold. */
  readonly netAllow: readonly string[] | undefined;
};

/** What a function asks for, in its trailer or in the file beside it. What is absent is the server's default. */
export type PolicyRequest = {
  readonly limits: Partial<Limits>;
  readonly isolation?: Isolation;
  readonly env: readonly (readonly [string, string])[];
  /** Names of secrets that become environment variables of the same name. */
  readonly secrets: readonly string[];
  readonly netAllow?: readonly string[];
};
