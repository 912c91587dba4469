import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runInNewContext } from 'node:vm';
import { placeStatement } from '../../src/javascript/place-table.ts';
import { mapStack } from '../../src/javascript/guest/stack-places.ts';

// Line 1 has code of a.ts at column 0 (line 3, column 2) and of build-cwasm at column 10; line 2 is all b.ts from column 4 (line 1, column 0).
const MAP = JSON.stringify({
  version: 3,
  sources: ['a.ts', '../../build-cwasm/src/javascript/guest/serve.ts', 'lib/b.ts'],
  names: [],
  mappings: 'AAEE,UCFF;ICAA',
});
const TABLE = Symbol.for('playa.places');

beforeEach(() => {
  const sandbox: Record<symbol, unknown> = {};
  runInNewContext(placeStatement(MAP), { globalThis: sandbox, Symbol });
  (globalThis as Record<symbol, unknown>)[TABLE] = sandbox[TABLE];
});

afterEach(() => {
  delete (globalThis as Record<symbol, unknown>)[TABLE];
});

describe('mapStack', () => {
  test('shows places of the sources, leaves out the frames of build-cwasm, and keeps what it does not know', () => {
    const stack = [
      'inner@bundle/function.js:1:3',
      'answer@bundle/function.js:1:11',
      '@bundle/function.js:2:99',
      'native code',
      '',
    ].join('\n');
    expect(mapStack(stack)).toEqual(['inner (a.ts:3:3)', 'lib/b.ts:1:1', 'native code']);
  });

  test('a place before the first segment, and a line beyond the last, belong to nobody', () => {
    expect(mapStack('f@bundle/function.js:2:2\ng@bundle/function.js:99:1')).toEqual([]);
  });

  test('the table does not name where build-cwasm lies', () => {
    expect(placeStatement(MAP)).not.toContain('build-cwasm');
  });

  test('without a table a stack shows the places of the bundle', () => {
    delete (globalThis as Record<symbol, unknown>)[TABLE];
    expect(mapStack('f@bundle/function.js:2:2')).toEqual(['f (function.js:2:2)']);
  });
});
