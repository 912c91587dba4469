/**
 * Compares versions of three numbers.
 * @param {string} version
 * @param {string} than
 * @returns {boolean} whether the first is the older one
 */
export function isOlder(version, than) {
  const left = version.split('.').map(Number);
  const right = than.split('.').map(Number);
  const index = left.findIndex((number, at) => number !== right[at]);
  return index !== -1 && (left[index] ?? 0) < (right[index] ?? 0);
}
