// How errors are written to the function's log: name, message, stack and causes, with the places of the function's own sources.

import { mapStack } from './stack-places.ts';

const MAX_CAUSES = 8;

/** An error with its stack and its causes, over several lines. */
export function errorText(error: unknown, prefix = ''): string {
  const lines: string[] = [];
  let current: unknown = error;
  for (let depth = 0; current !== undefined && depth < MAX_CAUSES; depth += 1) {
    const before = depth === 0 ? prefix : 'Caused by ';
    if (!(current instanceof Error)) {
      lines.push(`${before}${String(current)}`);
      break;
    }
    lines.push(`${before}${current.name}: ${current.message}`);
    for (const place of mapStack(current.stack ?? '')) lines.push(`    at ${place}`);
    current = current.cause;
  }
  return lines.join('\n');
}
