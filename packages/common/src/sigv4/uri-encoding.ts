/**
 * Percent-encodes all but RFC 3986's unreserved characters, with upper-case hex, a space as `%20` and a plus as `%2B`.
 * @throws {URIError} for half a surrogate pair
 */
export function encodeUri(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, encodeByte);
}

/** Encodes each segment of a path once; slashes stay. */
export function encodePath(path: string): string {
  return path.split('/').map(encodeUri).join('/');
}

/** The same path with every character encoded in the one way that is signed: what is sent may be spelt with `!` or `%2f`. */
export function recodePath(path: string): string {
  return path.replaceAll(/%[0-9a-fA-F]{2}|[^A-Za-z0-9\-._~/]/gu, (part) => {
    if (part.length !== 3 || !part.startsWith('%')) return encodeUri(part);
    const character = String.fromCharCode(Number.parseInt(part.slice(1), 16));
    return /[A-Za-z0-9\-._~]/.test(character) ? character : part.toUpperCase();
  });
}

function encodeByte(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}
