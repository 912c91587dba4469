import { InvocationError } from '../outcome/invocation-error.ts';

/** Which function a request is for, and what the function sees of the URL. */
export type Route = {
  name: string;
  /** Begins with `/`, holds the query, is not decoded. */
  pathWithQuery: string;
};

export const INVOKE_PREFIX = '/invoke/';
const SUFFIX = '.cwasm';
const MAX_NAME_BYTES = 255;

/**
 * Step 1: `/invoke/<name>.cwasm[/rest][?query]`, where the name may have slashes, or `/invoke/<name>[/rest][?query]`, where it has none.
 * `url` begins with {@link INVOKE_PREFIX}.
 * @throws {InvocationError} `name_invalid`.
 */
export function resolveRoute(url: string): Route {
  const queryAt = url.indexOf('?');
  const pathEnd = queryAt < 0 ? url.length : queryAt;
  const nameEnd = findNameEnd(url, pathEnd);
  const raw = url.slice(INVOKE_PREFIX.length, nameEnd);
  const name = raw.endsWith(SUFFIX) ? raw.slice(0, -SUFFIX.length) : raw;
  const rest = url.slice(nameEnd);
  return { name: checkName(name), pathWithQuery: rest.startsWith('/') ? rest : `/${rest}` };
}

/** Where the first segment that ends with `.cwasm` ends; without one, where the first segment does. */
function findNameEnd(url: string, pathEnd: number): number {
  let from = INVOKE_PREFIX.length;
  for (;;) {
    const at = url.indexOf(SUFFIX, from);
    if (at < 0 || at >= pathEnd) break;
    const end = at + SUFFIX.length;
    if (end === pathEnd || url[end] === '/') return end;
    from = end;
  }
  const slash = url.indexOf('/', INVOKE_PREFIX.length);
  return slash < 0 || slash > pathEnd ? pathEnd : slash;
}

/** Nothing that a folder, a key or a log line could misunderstand. */
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const UNSAFE = /[\x00-\x1f\x7f-\x9f\\\u2028\u2029\ufeff\ufffd]|[\u200b-\u200f\u202a-\u202e\u2066-\u2069]/;
/** Names that need no decoding and hold nothing to object to: nearly all. */
const PLAIN = /^[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:\/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$/;

/**
 * Checks a name as it stands in a URL, and decodes it.
 * @throws {InvocationError} `name_invalid`
 */
export function checkName(raw: string): string {
  if (raw.length <= MAX_NAME_BYTES && PLAIN.test(raw)) return raw;
  if (raw === '') throw invalid('it is empty');
  const segments = raw.split('/').map(decode);
  for (const segment of segments) {
    if (segment === '') throw invalid('a segment is empty');
    if (segment.startsWith('.')) throw invalid('a segment begins with a dot');
    if (segment.includes('/')) throw invalid('a segment holds an encoded slash');
    if (UNSAFE.test(segment)) throw invalid('it holds a control character, an invisible one or a backslash');
  }
  const name = segments.join('/');
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) throw invalid(`it is longer than ${MAX_NAME_BYTES} bytes`);
  return name;
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch (error) {
    throw new InvocationError('name_invalid', 'The name is not percent-encoded UTF-8.', { cause: error });
  }
}

function invalid(why: string): InvocationError {
  return new InvocationError('name_invalid', `This cannot be the name of a function: ${why}.`);
}
