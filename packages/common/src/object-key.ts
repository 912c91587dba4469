import { ObjectStoreError } from './object-store-error.ts';

/** S3's limit, in UTF-8. */
const MAX_KEY_BYTES = 1024;

/**
 * Refuses a key that some store, or something on the way to it, would take for another: empty segments, `.` and `..` (URL parsers
 * resolve them), backslashes (some turn them round), control characters, and what has no UTF-8.
 * @throws {ObjectStoreError} `invalid`
 */
export function checkObjectKey(key: string): void {
  const fault = faultOf(key);
  if (fault !== undefined) {
    throw new ObjectStoreError('invalid', `the object key ${JSON.stringify(key.slice(0, 200))} ${fault}`);
  }
}

/** Like a key, but may be empty and may end anywhere, also behind a slash. */
export function checkObjectPrefix(prefix: string): void {
  if (prefix !== '') checkObjectKey(prefix.endsWith('/') ? prefix.slice(0, -1) : prefix);
}

function faultOf(key: string): string | undefined {
  if (key === '') return 'is empty';
  if (!key.isWellFormed()) return 'holds half a surrogate pair, which has no UTF-8';
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) return `is longer than ${MAX_KEY_BYTES} bytes`;
  if (/[\0-\x1f\x7f]/.test(key)) return 'holds a control character';
  if (key.includes('\\')) return 'holds a backslash';
  const segments = key.split('/');
  if (segments.includes('')) return 'has an empty segment';
  if (segments.includes('.') || segments.includes('..')) return 'has a segment . or ..';
  return undefined;
}
