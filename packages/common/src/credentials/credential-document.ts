import { credentialError } from './credential-error.ts';
import { createCredentials, type Credentials } from './credentials.ts';

/**
 * Reads the JSON in which commands, containers and instances give credentials; they differ in one name only.
 * @throws {ObjectStoreError} that does not quote it
 */
export function parseCredentialDocument(text: string, source: string): Credentials {
  let document: Record<string, unknown>;
  try {
    document = JSON.parse(text) as Record<string, unknown>;
  } catch {
    // The error of JSON.parse quotes the text.
    throw credentialError(source, 'its answer is no JSON');
  }
  const accessKeyId = document['AccessKeyId'];
  const secretAccessKey = document['SecretAccessKey'];
  const sessionToken = document['SessionToken'] ?? document['Token'];
  if (typeof accessKeyId !== 'string' || typeof secretAccessKey !== 'string') {
    throw credentialError(source, 'its answer lacks AccessKeyId or SecretAccessKey');
  }
  return createCredentials({
    accessKeyId,
    secretAccessKey,
    sessionToken: typeof sessionToken === 'string' ? sessionToken : undefined,
    expiresAtMs: parseExpiry(document['Expiration'], source),
  });
}

/** When credentials end. @throws {ObjectStoreError} for what is no time: taking it for "never" would be found out too late */
export function parseExpiry(value: unknown, source: string): number | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  const expiresAtMs = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(expiresAtMs)) throw credentialError(source, 'it does not say in a known form when they expire');
  return expiresAtMs;
}
