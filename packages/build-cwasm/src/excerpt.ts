import { readFileSync } from 'node:fs';

/**
 * The lines around a place in a file, numbered, with a mark under the column.
 *
 * @param line counts from 1, as does `column`
 */
export function excerptOf(file: string, line: number, column: number): string | undefined {
  let lines: string[];
  try {
    lines = readFileSync(file, 'utf8').split('\n');
  } catch {
    // A virtual module has no file; the message stands without an excerpt.
    return undefined;
  }
  const from = Math.max(1, line - 2);
  const width = String(line + 1).length;
  const excerpt: string[] = [];
  for (let number = from; number <= Math.min(lines.length, line + 1); number += 1) {
    excerpt.push(`${String(number).padStart(width)} | ${(lines[number - 1] ?? '').slice(0, 160)}`);
    if (number === line) excerpt.push(`${' '.repeat(width)} | ${' '.repeat(Math.max(0, column - 1))}^`);
  }
  return excerpt.join('\n');
}
