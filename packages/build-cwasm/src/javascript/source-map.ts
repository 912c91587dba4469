import { SourceMap } from 'node:module';
import { resolve } from 'node:path';
import type { Bundle } from './bundle.ts';

/** A place in one of the user's files; line and column count from 1. */
export type OriginalPlace = { readonly file: string; readonly line: number; readonly column: number };

/**
 * Where a place of the bundle comes from.
 *
 * @param line counts from 1, as does `column`
 * @returns undefined for code that build-cwasm added
 */
export function originalPlace(bundle: Bundle, line: number, column: number): OriginalPlace | undefined {
  const payload = JSON.parse(bundle.sourceMap) as ConstructorParameters<typeof SourceMap>[0];
  const entry = new SourceMap(payload).findEntry(line - 1, column - 1);
  if (!('originalSource' in entry) || entry.originalSource === undefined) return undefined;
  return {
    file: resolve(bundle.baseFolder, entry.originalSource),
    line: entry.originalLine + 1,
    column: entry.originalColumn + 1,
  };
}

/** The places of a stack as the engine prints it, `name@function.js:12:3`, innermost first. */
export function stackPlaces(text: string, bundleName: string): { readonly line: number; readonly column: number }[] {
  const places: { line: number; column: number }[] = [];
  for (const match of text.matchAll(/(\S*?):(\d+):(\d+)/g)) {
    if (match[1]!.endsWith(bundleName)) places.push({ line: Number(match[2]), column: Number(match[3]) });
  }
  return places;
}
