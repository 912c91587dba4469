import type { Renewing } from './renewing.ts';

/** What requests are signed with. The secret parts are not enumerable: no log, error or JSON shows them by accident. */
export type Credentials = {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** When they end; without it they do not. */
  readonly expiresAtMs?: number;
};

/** Makes credentials whose secrets are hidden from whatever walks over an object. */
export function createCredentials(values: {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string | undefined;
  expiresAtMs?: number | undefined;
}): Credentials {
  const { accessKeyId, expiresAtMs, secretAccessKey, sessionToken } = values;
  const shown = { accessKeyId, ...(expiresAtMs !== undefined && { expiresAtMs }) };
  return Object.defineProperties(shown as Credentials, {
    secretAccessKey: { value: secretAccessKey, enumerable: false },
    ...(sessionToken !== undefined && { sessionToken: { value: sessionToken, enumerable: false } }),
  });
}

/** Gives credentials that are good now. */
export type CredentialProvider = Renewing<Credentials>;
