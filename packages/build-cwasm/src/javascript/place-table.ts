const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/**
 * Makes the statement that a bundle ends with: it leaves the places of the function's sources where guest/stack-places.ts finds them.
 *
 * A source map has to be read from its beginning, which takes an engine without a compiler a tenth of a second. So each line of the bundle gets a
 * text of its own: `column,source,line,column` in base 36, counted from 0; a column alone where code begins that build-cwasm added.
 *
 * @param sourceMap version 3, as JSON text (https://tc39.es/ecma426/)
 */
export function placeStatement(sourceMap: string): string {
  const map = JSON.parse(sourceMap) as { sources: (string | null)[]; mappings: string };
  // Where build-cwasm lies is nobody's business, and its frames say nothing to whoever wrote the function.
  const own = new Set(map.sources.keys().filter((index) => isOwn(map.sources[index] ?? '')));
  const sources = map.sources.map((source, index) => (own.has(index) ? '' : shownPath(source!)));
  let [source, line, sourceColumn] = [0, 0, 0];
  const lines = map.mappings.split(';').map((text) => {
    let column = 0;
    const segments: string[] = [];
    for (const segment of text.split(',')) {
      const numbers = decodeNumbers(segment);
      column += numbers[0] ?? 0;
      source += numbers[1] ?? 0;
      line += numbers[2] ?? 0;
      sourceColumn += numbers[3] ?? 0;
      const isForeign = numbers.length < 4 || own.has(source);
      // One note is enough for code that nobody is told the place of.
      if (isForeign && segments.at(-1)?.includes(',') !== true) continue;
      const members = isForeign ? [column] : [column, source, line, sourceColumn];
      segments.push(members.map((member) => member.toString(36)).join(','));
    }
    return segments.join(' ');
  });
  return `globalThis[Symbol.for("playa.places")] = ${JSON.stringify({ sources, lines })};\n`;
}

/** A source as stacks name it: of a package its path there, of what lies outside of the function's folder no more than the last folder. */
function shownPath(source: string): string {
  const packagesAt = source.lastIndexOf('node_modules/');
  if (packagesAt >= 0) return source.slice(packagesAt + 'node_modules/'.length);
  return source.startsWith('../') || source.startsWith('/') ? source.split('/').slice(-2).join('/') : source;
}

function isOwn(source: string): boolean {
  return source === '' || source.includes('playa:entry') || source.includes('build-cwasm/src/javascript/');
}

/** Signed base-64 VLQ: five bits a digit, the sixth says that more come; the lowest bit of the number is its sign. */
function decodeNumbers(text: string): number[] {
  const numbers: number[] = [];
  let [value, shift] = [0, 0];
  for (const digit of text) {
    const bits = DIGITS.indexOf(digit);
    value += (bits & 31) * 2 ** shift;
    shift += 5;
    if ((bits & 32) !== 0) continue;
    numbers.push(value % 2 === 1 ? -(value - 1) / 2 : value / 2);
    [value, shift] = [0, 0];
  }
  return numbers;
}
