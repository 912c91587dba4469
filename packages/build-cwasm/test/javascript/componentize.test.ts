import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeTemporaryFolder } from '../../../../test/harness/temporary-folder.ts';
import { detectWorld } from '../../src/component/world.ts';
import { bundleFunction } from '../../src/javascript/bundle.ts';
import { componentizeBundle } from '../../src/javascript/componentize.ts';
import { componentizeFailure } from '../../src/javascript/componentize-failure.ts';
import { thrownBy } from '../helpers/thrown.ts';

const HANDLER = 'export default { fetch: () => new Response("x") };';
// A component takes some 3 s to make, and many times that on a busy machine.
const LONG_MS = 300_000;

let folder: { path: string; remove: () => void };
let main: string;
let work: string;
beforeEach(() => {
  folder = makeTemporaryFolder('componentize');
  main = join(folder.path, 'source/main.ts');
  work = join(folder.path, 'work');
  mkdirSync(dirname(main));
  mkdirSync(work);
});
afterEach(() => folder.remove());

async function componentize(source: string, timeoutMs?: number): Promise<string> {
  writeFileSync(main, source);
  return componentizeBundle(await bundleFunction(main), work, timeoutMs === undefined ? {} : { timeoutMs });
}

test(
  'a component is made of a handler; it exports the HTTP handler, and does not tell where its source lay',
  async () => {
    const bytes = readFileSync(
      await componentize(`const waited = await Promise.resolve(3); ${HANDLER} console.log(waited);`),
    );
    expect(detectWorld(bytes)).toEqual({ world: 'http-0.2', warnings: [] });
    expect(bytes.includes(dirname(main))).toBe(false);
    expect(bytes.includes(import.meta.dirname)).toBe(false);
    expect(readdirSync(work).toSorted()).toEqual(['bundle', 'function.wasm', 'wit']);
  },
  LONG_MS,
);

describe('top-level code that fails', () => {
  test(
    'in a timer is named, with its place',
    async () => {
      const error = await thrownBy(() =>
        componentize(`type A = 1;\nfunction start(): void {\n  setTimeout(() => {}, 1);\n}\nstart();\n${HANDLER}`),
      );
      expect(error).toMatchObject({ exit: 'source', code: 'top_level_call', location: { line: 3, column: 3 } });
      expect(error.message).toContain('setTimeout is called at the top level');
      expect(error.location?.file).toMatch(/main\.ts$/);
      expect(error.location?.excerpt).toContain('3 |   setTimeout(() => {}, 1);');
    },
    LONG_MS,
  );

  test(
    'in Math.random is named, also through a kept reference',
    async () => {
      const error = await thrownBy(() =>
        componentize(`const { random } = Math;\nexport const a = [random()];\n${HANDLER} console.log(a);`),
      );
      expect(error).toMatchObject({ code: 'top_level_call', location: { line: 2 } });
      expect(error.message).toContain('Math.random');
    },
    LONG_MS,
  );

  test(
    'by an exception is told with its message and place',
    async () => {
      const error = await thrownBy(() => componentize(`${HANDLER}\nJSON.parse('no JSON');`));
      expect(error).toMatchObject({ exit: 'source', code: 'top_level_error', location: { line: 2 } });
      expect(error.message).toMatch(/threw SyntaxError: JSON\.parse/);
    },
    LONG_MS,
  );

  test(
    'by leaving no handler is told what the module exports',
    async () => {
      const error = await thrownBy(() =>
        componentize('export const handler = () => new Response("x"); export const other = 1;'),
      );
      expect(error).toMatchObject({ exit: 'source', code: 'no_handler' });
      expect(error.message).toContain('it exports handler, other');
      expect(error.hint).toContain('export default { fetch');
    },
    LONG_MS,
  );

  test(
    'by awaiting what never comes is refused',
    async () => {
      const error = await thrownBy(() => componentize(`await new Promise(() => {});\n${HANDLER}`));
      expect(error).toMatchObject({ exit: 'source', code: 'top_level_await' });
    },
    LONG_MS,
  );

  test(
    'by never ending is stopped, with all processes of the tool',
    async () => {
      const error = await thrownBy(() => componentize(`for (;;);\n${HANDLER}`, 12_000));
      expect(error).toMatchObject({ exit: 'source', code: 'top_level_timeout' });
      expect(processesIn(work)).toEqual([]);
    },
    LONG_MS,
  );
});

describe('a tool that fails', () => {
  const bundle = {
    code: '',
    sourceMap: '{"version":3,"sources":[],"names":[],"mappings":""}',
    baseFolder: '/',
    warnings: [],
  };
  test.each([
    ['crashed', 'SIGKILL', 'out_of_memory', 'toolchain'],
    ['failed', 'write: No space left on device', 'disk_full', 'output'],
    [
      'failed',
      "attempted to call an unknown imported function: 'wasi:random/random@0.2.10' 'get-random-u64'",
      'top_level_call',
      'source',
    ],
    ['failed', 'wasm trap: something new', 'componentize_failed', 'toolchain'],
  ] as const)('%s with %s is told as %s', (reason, message, code, exit) => {
    const error = componentizeFailure({ ok: false, reason, message }, bundle, 1_000);
    expect(error).toMatchObject({ code, exit, toolOutput: message });
  });
});

/** Command lines of processes whose folder it is. */
function processesIn(path: string): string[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((pid) => {
      try {
        if (readlinkSync(`/proc/${pid}/cwd`) !== path) return [];
        return [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')];
      } catch {
        // It has ended meanwhile, or belongs to another user.
        return [];
      }
    });
}
