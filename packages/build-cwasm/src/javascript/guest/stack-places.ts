// Finds where in the function's sources a place of the bundle comes from. The bundle ends with the table for it (../place-table.ts), so
// that a stack is readable wherever the function runs, and nobody outside of its sandbox has to read what it wrote.

type PlaceTable = { readonly sources: readonly string[]; readonly lines: readonly string[] };

const TABLE = Symbol.for('playa.places');

/** The frames of a stack as the engine prints it, `name@bundle/function.js:12:3`, in the function's sources; frames of build-cwasm are left out. */
export function mapStack(stack: string): string[] {
  const frames = stack.split('\n').map((line) => line.trim());
  return frames
    .filter((frame) => frame !== '')
    .flatMap((frame) => {
      const match = /^(.*?)@?(?:[^@\s]*\/)?function\.js:(\d+):(\d+)$/.exec(frame);
      if (match === null) return [frame];
      const place = findPlace(Number(match[2]), Number(match[3]));
      if (place === undefined) return [];
      return [match[1] === '' ? place : `${match[1]} (${place})`];
    });
}

function findPlace(line: number, column: number): string | undefined {
  const table = (globalThis as Record<symbol, unknown>)[TABLE] as PlaceTable | undefined;
  if (table === undefined) return `function.js:${line}:${column}`;
  let found: number[] | undefined;
  for (const segment of (table.lines[line - 1] ?? '').split(' ')) {
    const numbers = segment.split(',').map((text) => Number.parseInt(text, 36));
    if (!(numbers[0]! <= column - 1)) break;
    found = numbers;
  }
  const source = found?.length === 4 ? table.sources[found[1]!] : undefined;
  return source === undefined ? undefined : `${source}:${found![2]! + 1}:${found![3]! + 1}`;
}
