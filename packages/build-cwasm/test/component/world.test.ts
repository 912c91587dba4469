import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { PROJECT } from '../../../../test/harness/project.ts';
import { BuildError } from '../../src/build-error.ts';
import { detectWorld } from '../../src/component/world.ts';
import { thrownBy } from '../helpers/thrown.ts';
import { wat } from '../helpers/wat.ts';

const exporting = (...names: string[]): string =>
  `(component (instance $i) ${names.map((name) => `(export "${name}" (instance $i))`).join(' ')})`;
const importing = (name: string): string =>
  `(component (import "${name}" (instance)) (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))`;
const command = '(memory (export "memory") 1) (func (export "_start"))';
const wasip1 = '(import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))';

describe('a component', () => {
  test.each([
    ['wasi:http/incoming-handler@0.2.0', 'http-0.2'],
    ['wasi:http/incoming-handler@0.2.12', 'http-0.2'],
    ['wasi:http/handler@0.3.0', 'http-0.3'],
    ['wasi:cli/run@0.2.6', 'command'],
    ['wasi:cli/run@0.3.0', 'command'],
  ])('that exports %s is of the world %s', async (name, world) => {
    expect(detectWorld(await wat(exporting(name)))).toEqual({ world, warnings: [] });
  });

  test('that can be called in several ways is called by the newest of HTTP', async () => {
    const all = ['wasi:cli/run@0.2.0', 'wasi:http/incoming-handler@0.2.0', 'wasi:http/handler@0.3.0'];
    expect(detectWorld(await wat(exporting(...all))).world).toBe('http-0.3');
    expect(detectWorld(await wat(exporting(...all.slice(0, 2)))).world).toBe('http-0.2');
  });

  test.each([
    [[]],
    [['acme:other/thing@1.0.0']],
    [['wasi:http/incoming-handler@0.2.0-rc-2023-12-05']],
    [['wasi:http/handler@0.3.0-rc-2026-02-09']],
    [['wasi:http/outgoing-handler@0.2.0']],
  ])('that exports %j is refused, and told what it exports', async (names) => {
    const error = await thrownBy(async () => detectWorld(await wat(exporting(...names))));
    expect(error).toMatchObject({ code: 'wrong_world', exit: 'source' });
    expect(error.message).toContain(names[0] ?? 'nothing');
  });

  test.each(['jco:node/fs', 'wasi:keyvalue/store@0.2.0-draft', 'acme:db/query@1.0.0'])(
    'that imports %s is refused by that name',
    async (name) => {
      const error = await thrownBy(async () => detectWorld(await wat(importing(name))));
      expect(error.code).toBe('missing_import');
      expect(error.message).toContain(name);
    },
  );

  test.each(['wasi:http/types@0.2.3', 'wasi:sockets/tcp@0.2.0', 'wasi:clocks/monotonic-clock@0.3.0'])(
    'may import %s',
    async (name) => {
      expect(detectWorld(await wat(importing(name))).world).toBe('command');
    },
  );

  const adapted = (module: string): string =>
    `(component (core module ${wasip1} ${command} ${module}) (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))`;

  test('made of a Go module by an adapter is refused', async () => {
    const error = await thrownBy(async () => detectWorld(await wat(adapted('(@custom "go:buildid" "x")'))));
    expect(error.code).toBe('adapter_hazard');
    expect(error.hint).toContain('the module itself');
  });

  test('made of a module that may own all memory has a warning', async () => {
    expect(detectWorld(await wat(adapted(''))).warnings.join()).toContain('AssemblyScript');
    const cautious = '(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)';
    expect(detectWorld(await wat(adapted(cautious))).warnings).toEqual([]);
    const clang = '(@producers (processed-by "clang" "19"))';
    expect(detectWorld(await wat(adapted(clang))).warnings).toEqual([]);
  });

  test('in components is looked into', async () => {
    const nested = `(component (component (core module ${wasip1} (@custom "go:buildid" "x"))) (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))`;
    expect((await thrownBy(async () => detectWorld(await wat(nested)))).code).toBe('adapter_hazard');
  });
});

describe('a core module', () => {
  test('that is a wasip1 command is one', async () => {
    expect(detectWorld(await wat(`(module ${wasip1} ${command})`))).toEqual({ world: 'module', warnings: [] });
    const everyImport = ['(func)', '(table 1 2 funcref)', '(memory 1 2)', '(global (mut i64))', '(func)'];
    const imports = everyImport.map((type, index) => `(import "wasi_snapshot_preview1" "${index}" ${type})`);
    const start = '(func (export "_start")) (export "memory" (memory 0))';
    expect(detectWorld(await wat(`(module ${imports.join(' ')} ${start})`)).world).toBe('module');
  });

  test.each([
    ['(module (import "env" "abort" (func)) (func (export "_start")))', 'not_wasip1', '"env"'],
    ['(module (import "wasi_unstable" "x" (func)) (func (export "_start")))', 'not_wasip1', 'wasi_unstable'],
    ['(module (memory (export "memory") 1))', 'not_a_command', '_start'],
    ['(module (func (export "_initialize")) (memory (export "memory") 1))', 'not_a_command', 'library'],
    ['(module (func (export "_start")))', 'not_a_command', 'memory'],
  ])('%s is refused as %s', async (text, code, reason) => {
    const error = await thrownBy(async () => detectWorld(await wat(text)));
    expect(error.code).toBe(code);
    expect(error.message).toContain(reason);
  });
});

describe('what is damaged', () => {
  test.each([
    ['nothing', Buffer.alloc(0)],
    ['random bytes', randomBytes(100)],
    ['a text', Buffer.from('(module)')],
    ['a layer that does not exist', Buffer.from('0061736d0d000900', 'hex')],
  ])('%s is no WebAssembly', async (_, bytes) => {
    expect((await thrownBy(() => detectWorld(bytes))).code).toBe('corrupt_wasm');
  });

  // Any cut and any changed byte is either still understood or refused in words: never another error, never without end.
  test.each(['examples/echo/echo.wasm', 'test/guests/prebuilt/command-module.wasm', 'bench/guests/small.wasm'])(
    '%s is refused in words however it is damaged',
    (file) => {
      const whole = readFileSync(join(PROJECT.root, file));
      let refused = 0;
      const detect = (bytes: Uint8Array): void => {
        try {
          detectWorld(bytes);
        } catch (error) {
          if (!(error instanceof BuildError)) throw error;
          refused += 1;
        }
      };
      for (let length = 0; length < whole.length; length += 1 + Math.floor(whole.length / 400))
        detect(whole.subarray(0, length));
      expect(refused).toBeGreaterThan(300);
      for (let round = 0; round < 2_000; round += 1) {
        const changed = Buffer.from(whole);
        for (const at of randomBytes(3)) changed[(at * 7_919 + round * 31) % changed.length] = (at * 13 + round) % 256;
        detect(changed);
      }
    },
  );
});
