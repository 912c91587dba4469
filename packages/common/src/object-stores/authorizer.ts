import type { CredentialProvider } from '../credentials/credentials.ts';
import type { TokenProvider } from '../credentials/token.ts';
import type { Pairs, SignableRequest } from '../sigv4/canonical-request.ts';
import type { SigningRules } from '../sigv4/dialect.ts';
import { signRequest } from '../sigv4/sign-request.ts';
import { createSigningKeys } from '../sigv4/signature.ts';

/** A request that is allowed, and how to say that the server did not think so. */
export type Authorized = {
  headers: Pairs;
  /** Has what was used replaced, where that can be: the server said that it has expired. */
  renew: () => void;
};

/** Adds to requests what makes a server accept them. */
export type Authorizer = {
  /** Whether what is sent could be used by somebody else for other requests, and so must go to no other host. */
  readonly transferable: boolean;
  authorize: (
    request: SignableRequest,
    payloadHash: string,
    context: { region: string; timeMs: number; signal: AbortSignal | undefined },
  ) => Promise<Authorized>;
};

/** Signs each request. */
export function createSigningAuthorizer(
  credentials: CredentialProvider,
  rules: SigningRules,
  service: string,
): Authorizer {
  const signingKeys = createSigningKeys();
  return {
    transferable: false,
    authorize: async (request, payloadHash, { region, timeMs, signal }) => {
      const used = await credentials.get(signal);
      const signing = { credentials: used, region, service, timeMs, rules, signingKeys };
      return { headers: signRequest(request, payloadHash, signing), renew: () => credentials.renew(used) };
    },
  };
}

/** Shows a token with each request. */
export function createTokenAuthorizer(tokens: TokenProvider): Authorizer {
  return {
    transferable: true,
    authorize: async (request, _payloadHash, { signal }) => {
      const used = await tokens.get(signal);
      const headers = [...request.headers, ['authorization', `Bearer ${used.token}`] as const];
      return { headers, renew: () => tokens.renew(used) };
    },
  };
}
