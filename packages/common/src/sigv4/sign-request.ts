import type { Credentials } from '../credentials/credentials.ts';
import {
  canonicalHeaders,
  canonicalRequest,
  signedHeaderNames,
  type Pairs,
  type SignableRequest,
} from './canonical-request.ts';
import type { SigningRules } from './dialect.ts';
import { scopeText, signature, signingKey, signingTimestamp, stringToSign, type SigningKeys } from './signature.ts';

/** In place of a body's digest where it is not known. */
export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';
/** Seven days: no server takes more. */
export const MAX_PRESIGNED_SECONDS = 7 * 24 * 60 * 60;

/** Who signs what for whom, and when. */
export type Signing = {
  credentials: Credentials;
  region: string;
  service: string;
  timeMs: number;
  rules: SigningRules;
  /** For those who sign often; by default keys are derived anew. */
  signingKeys?: SigningKeys;
};

/**
 * Signs a request by headers.
 * @param payloadHash SHA-256 of the whole body in hex, also of an empty one, or `UNSIGNED_PAYLOAD`
 * @returns all headers to be sent, but for `host`
 */
export function signRequest(request: SignableRequest, payloadHash: string, signing: Signing): Pairs {
  const { credentials, rules } = signing;
  const { prefix, algorithm } = rules.dialect;
  const timestamp = signingTimestamp(signing.timeMs);
  const headers: [string, string][] = [...request.headers.map(([name, value]): [string, string] => [name, value])];
  headers.push([`${prefix}date`, timestamp]);
  if (rules.contentSha256Header) headers.push([`${prefix}content-sha256`, payloadHash]);
  const token = credentials.sessionToken;
  const tokenHeader = `${prefix}security-token`;
  if (token !== undefined && !rules.omitSessionToken) headers.push([tokenHeader, token]);

  const complete = { ...request, headers };
  const { credential, mac } = sign(complete, payloadHash, timestamp, signing);
  const names = signedHeaderNames(canonicalHeaders(complete, rules.signsHeader));
  headers.push(['authorization', `${algorithm} Credential=${credential}, SignedHeaders=${names}, Signature=${mac}`]);
  if (token !== undefined && rules.omitSessionToken) headers.push([tokenHeader, token]);
  return headers;
}

/**
 * Signs a request by its query, so that whoever has the URL can make it. Headers that are signed must then be sent as they are here.
 * @throws {RangeError} where the URL would outlive seven days or the session token
 * @returns the whole query, decoded
 */
export function presignRequest(
  request: SignableRequest,
  expiresSeconds: number,
  signing: Signing,
  payloadHash: string = UNSIGNED_PAYLOAD,
): Pairs {
  const { credentials, rules, region, service, timeMs } = signing;
  checkLife(expiresSeconds, credentials, timeMs);
  const timestamp = signingTimestamp(timeMs);
  const parameter = (name: string): string => (rules.dialect.prefix === 'x-amz-' ? 'X-Amz-' : 'X-Goog-') + name;
  const scope = { day: timestamp.slice(0, 8), region, service };
  const names = signedHeaderNames(canonicalHeaders(request, rules.signsHeader));
  const token = credentials.sessionToken;
  const query: [string, string][] = [
    ...request.query.map(([name, value]): [string, string] => [name, value]),
    [parameter('Algorithm'), rules.dialect.algorithm],
    [parameter('Credential'), `${credentials.accessKeyId}/${scopeText(scope, rules.dialect)}`],
    [parameter('Date'), timestamp],
    [parameter('Expires'), `${expiresSeconds}`],
    [parameter('SignedHeaders'), names],
  ];
  if (token !== undefined && !rules.omitSessionToken) query.push([parameter('Security-Token'), token]);
  const { mac } = sign({ ...request, query }, payloadHash, timestamp, signing);
  query.push([parameter('Signature'), mac]);
  if (token !== undefined && rules.omitSessionToken) query.push([parameter('Security-Token'), token]);
  return query;
}

function sign(
  request: SignableRequest,
  payloadHash: string,
  timestamp: string,
  { credentials, region, service, rules, signingKeys = signingKey }: Signing,
): { credential: string; mac: string } {
  const scope = { day: timestamp.slice(0, 8), region, service };
  const text = stringToSign(timestamp, scope, canonicalRequest(request, payloadHash, rules), rules.dialect);
  const key = signingKeys(credentials.secretAccessKey, scope, rules.dialect);
  return {
    credential: `${credentials.accessKeyId}/${scopeText(scope, rules.dialect)}`,
    mac: signature(key, text),
  };
}

function checkLife(expiresSeconds: number, { expiresAtMs }: Credentials, timeMs: number): void {
  if (!Number.isInteger(expiresSeconds) || expiresSeconds < 1 || expiresSeconds > MAX_PRESIGNED_SECONDS) {
    throw new RangeError(
      `a presigned URL lives for 1 to ${MAX_PRESIGNED_SECONDS} whole seconds, not ${expiresSeconds}`,
    );
  }
  if (expiresAtMs !== undefined && timeMs + expiresSeconds * 1000 > expiresAtMs) {
    const left = Math.max(0, Math.floor((expiresAtMs - timeMs) / 1000));
    throw new RangeError(`the credentials expire in ${left} s, before the presigned URL would in ${expiresSeconds} s`);
  }
}
