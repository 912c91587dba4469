import { createHash, createHmac } from 'node:crypto';
import type { Dialect } from './dialect.ts';

/** Where and when a signature counts. */
export type CredentialScope = { day: string; region: string; service: string };

/** `20130524T000000Z`. */
export function signingTimestamp(timeMs: number): string {
  return new Date(timeMs).toISOString().replaceAll(/[-:]|\.\d+/g, '');
}

/** `20130524/us-east-1/s3/aws4_request`. */
export function scopeText({ day, region, service }: CredentialScope, dialect: Dialect): string {
  return `${day}/${region}/${service}/${dialect.terminator}`;
}

/** What the signing key is applied to. */
export function stringToSign(
  timestamp: string,
  scope: CredentialScope,
  canonicalRequestText: string,
  dialect: Dialect,
): string {
  const digest = createHash('sha256').update(canonicalRequestText).digest('hex');
  return [dialect.algorithm, timestamp, scopeText(scope, dialect), digest].join('\n');
}

/** The key of one day, region and service, derived from the secret. */
export function signingKey(secret: string, { day, region, service }: CredentialScope, dialect: Dialect): Buffer {
  let key: Buffer | string = dialect.secretPrefix + secret;
  for (const part of [day, region, service, dialect.terminator]) key = hmac(key, part);
  return key as Buffer;
}

/** The signature in hex. */
export function signature(key: Buffer, text: string): string {
  return hmac(key, text).toString('hex');
}

/** Derives signing keys. */
export type SigningKeys = typeof signingKey;

/** Signing keys that are derived once a day, not once a request. Any part that differs makes another key. */
export function createSigningKeys(maxKeys = 16): SigningKeys {
  const keys = new Map<string, Buffer>();
  return (secret, scope, dialect) => {
    const name = JSON.stringify([secret, scope.day, scope.region, scope.service, dialect.secretPrefix]);
    let key = keys.get(name);
    if (key === undefined) {
      key = signingKey(secret, scope, dialect);
      if (keys.size >= maxKeys) keys.delete(keys.keys().next().value!);
      keys.set(name, key);
    }
    return key;
  };
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
