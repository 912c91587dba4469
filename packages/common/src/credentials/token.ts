import type { Renewing } from './renewing.ts';

/** What is shown instead of a signature. The token is not enumerable: no log, error or JSON shows it by accident. */
export type AccessToken = { readonly token: string; readonly expiresAtMs: number };

/** Gives a token that is good now. */
export type TokenProvider = Renewing<AccessToken>;

/** Makes a token that is hidden from whatever walks over an object. */
export function createAccessToken(token: string, expiresAtMs: number): AccessToken {
  return Object.defineProperty({ expiresAtMs } as AccessToken, 'token', { value: token, enumerable: false });
}
