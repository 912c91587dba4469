/**
 * A copy of a text that holds nothing but itself.
 *
 * V8 makes a part of a text (`slice`, `split`, `trim`) as a view of the whole, which stays in memory for as long as the part does: a name of ten characters
 * that is kept can hold a URL of thirty thousand. Whatever is kept of what a stranger has sent is to be copied first.
 *
 * @param text of whole characters: half of a surrogate pair becomes U+FFFD
 */
export function ownText(text: string): string {
  return Buffer.from(text).toString();
}
