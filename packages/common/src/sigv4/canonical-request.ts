import type { SigningRules } from './dialect.ts';
import { encodeUri, recodePath } from './uri-encoding.ts';

/** Names and values in their order; names may repeat. */
export type Pairs = readonly (readonly [name: string, value: string])[];

/** A request as it is signed. */
export type SignableRequest = {
  method: string;
  /** As it is sent: without the scheme's default port, an IPv6 address in brackets. */
  host: string;
  /** As it is sent: percent-encoded. */
  path: string;
  /** Decoded. A name without a value (`?uploads`) has the empty one. */
  query: Pairs;
  /** Without `host`. */
  headers: Pairs;
};

/** The path as it is signed. */
export function canonicalPath(path: string, rules: Pick<SigningRules, 'normalizePath' | 'encodePathTwice'>): string {
  const absolute = path.startsWith('/') ? path : `/${path}`;
  const normal = rules.normalizePath ? resolveSegments(absolute) : absolute;
  return rules.encodePathTwice ? normal.split('/').map(encodeUri).join('/') : recodePath(normal);
}

function resolveSegments(path: string): string {
  const segments: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') segments.pop();
    else if (segment !== '' && segment !== '.') segments.push(segment);
  }
  const trailing = segments.length > 0 && path.endsWith('/') ? '/' : '';
  return `/${segments.join('/')}${trailing}`;
}

/**
 * The query as it is signed, and as it is sent. Sorted by name, then by value, both encoded: as bytes, not by any language, and never
 * as `name=value`, where `a-b=` would come before `a=`.
 */
export function canonicalQuery(query: Pairs): string {
  return query
    .map(([name, value]) => [encodeUri(name), encodeUri(value)] as const)
    .toSorted(([nameA, valueA], [nameB, valueB]) => compareAscii(nameA, nameB) || compareAscii(valueA, valueB))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

/** The headers that are signed: in lower case, sorted, white space folded, repeated ones joined by a comma alone. */
export function canonicalHeaders(request: SignableRequest, signs: (name: string) => boolean): Pairs {
  const values = new Map<string, string[]>();
  for (const [name, value] of [['host', request.host] as const, ...request.headers]) {
    const lower = name.toLowerCase();
    if (!signs(lower)) continue;
    const folded = value.replaceAll(/[ \t\r\n\f\v]+/g, ' ').replaceAll(/^ | $/g, '');
    const known = values.get(lower);
    if (known === undefined) values.set(lower, [folded]);
    else known.push(folded);
  }
  return [...values]
    .toSorted(([a], [b]) => compareAscii(a, b))
    .map(([name, joined]) => [name, joined.join(',')] as const);
}

/** The names of signed headers, as the signature lists them. */
export function signedHeaderNames(headers: Pairs): string {
  return headers.map(([name]) => name).join(';');
}

/**
 * Everything that is signed, in six parts.
 * @param payloadHash the body's SHA-256 in hex, or `UNSIGNED-PAYLOAD`
 */
export function canonicalRequest(request: SignableRequest, payloadHash: string, rules: SigningRules): string {
  const headers = canonicalHeaders(request, rules.signsHeader);
  return [
    request.method.toUpperCase(),
    canonicalPath(request.path, rules),
    canonicalQuery(request.query),
    ...headers.map(([name, value]) => `${name}:${value}`),
    '',
    signedHeaderNames(headers),
    payloadHash,
  ].join('\n');
}

function compareAscii(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
