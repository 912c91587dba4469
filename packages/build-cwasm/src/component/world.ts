import type { World } from '@playa/common/artifact-manifest';
import { BuildError } from '../build-error.ts';
import type { ComponentInterface } from './component-interface.ts';
import { readComponentInterface } from './component-interface.ts';
import type { CoreModule } from './core-module.ts';
import { readCoreModule } from './core-module.ts';
import { wasmKind, WasmFormatError } from './wasm-reader.ts';

/** What was found out about a module or component before it is compiled. */
export type WorldReport = { readonly world: World; readonly warnings: readonly string[] };

// A component that exports several of them is called by the first.
const WORLD_EXPORTS: readonly (readonly [RegExp, World])[] = [
  [/^wasi:http\/handler@0\.3\.\d+$/, 'http-0.3'],
  [/^wasi:http\/incoming-handler@0\.2\.\d+$/, 'http-0.2'],
  [/^wasi:cli\/run@0\.[23]\.\d+$/, 'command'],
];

const PROVIDED_IMPORT = /^wasi:(?:cli|clocks|filesystem|http|io|random|sockets)\/[a-z0-9-]+@0\.[23]\.\d+$/;

const CALLABLE = [
  'wasi:http/incoming-handler@0.2.x (WASI 0.2)',
  'wasi:http/handler@0.3.x (WASI 0.3)',
  'wasi:cli/run (a command, called as CGI)',
].join(', ');

/**
 * Finds out how a component or core module is called, and refuses what the platform could not run.
 *
 * @param bytes the binary format; text must be converted before
 * @throws BuildError `corrupt_wasm`, `wrong_world`, `missing_import`, `not_wasip1`, `not_a_command`, `adapter_hazard`
 */
export function detectWorld(bytes: Uint8Array): WorldReport {
  const kind = wasmKind(bytes);
  try {
    if (kind === 'component') return detectComponentWorld(readComponentInterface(bytes));
    if (kind === 'module') return checkCommandModule(readCoreModule(bytes));
  } catch (cause) {
    if (!(cause instanceof WasmFormatError)) throw cause;
    throw new BuildError('source', 'corrupt_wasm', `the ${kind} is damaged: ${cause.message}`, {
      hint: 'Build it again, or copy it again: a part may be missing.',
      cause,
    });
  }
  throw new BuildError(
    'source',
    'corrupt_wasm',
    'this is not WebAssembly: its first eight bytes are of neither a module nor a component',
  );
}

function detectComponentWorld(component: ComponentInterface): WorldReport {
  const world = WORLD_EXPORTS.find(([pattern]) => component.exports.some((name) => pattern.test(name)))?.[1];
  if (world === undefined) {
    const exported = component.exports.length === 0 ? 'nothing' : component.exports.join(', ');
    throw new BuildError(
      'source',
      'wrong_world',
      `the component exports ${exported}, so the platform would not know how to call it`,
      {
        hint: `A function exports one of: ${CALLABLE}.`,
      },
    );
  }
  const missing = component.imports.filter((name) => !PROVIDED_IMPORT.test(name));
  if (missing.length > 0) {
    throw new BuildError(
      'source',
      'missing_import',
      `the component imports ${missing.join(', ')}, which the platform does not provide`,
      {
        hint: 'A function may import the released interfaces of wasi:cli, clocks, filesystem, http, io, random and sockets, 0.2 and 0.3.',
      },
    );
  }
  return { world, warnings: component.modules.flatMap(checkAdaptedModule) };
}

/**
 * A component made from a wasip1 module holds an adapter that asks the module for memory by `cabi_realloc`, else grows
 * the memory behind its back. Runtimes that take all memory for their own then overwrite the adapter's.
 */
function checkAdaptedModule(module: CoreModule): string[] {
  if (!module.importedModules.includes('wasi_snapshot_preview1') || module.exports.includes('cabi_realloc')) return [];
  if (
    module.producers.includes('go') ||
    module.customSections.includes('go:buildid') ||
    module.customSections.includes('go.buildid')
  ) {
    throw new BuildError(
      'source',
      'adapter_hazard',
      'the component was made from a Go module by a wasip1 adapter, which dies at run time: the Go runtime overwrites the memory of the adapter',
      {
        hint: 'Give build-cwasm the module itself, as go build wrote it with GOOS=wasip1: it is kept a module.',
      },
    );
  }
  const tolerant = module.producers.some((producer) => /clang|rust|zig|tinygo/.test(producer));
  if (tolerant) return [];
  return [
    'the component was made from a wasip1 module that does not export cabi_realloc. If its runtime takes all memory for its own, as that of AssemblyScript does, it will fail at run time; give build-cwasm the module itself instead',
  ];
}

function checkCommandModule(module: CoreModule): WorldReport {
  const foreign = module.importedModules.filter((name) => name !== 'wasi_snapshot_preview1');
  if (foreign.length > 0) {
    throw new BuildError(
      'source',
      'not_wasip1',
      `the module imports from ${foreign.map((name) => `"${name}"`).join(', ')}, but only wasi_snapshot_preview1 is there for a core module`,
      {
        hint: foreign.includes('wasi_unstable')
          ? 'It was built for the predecessor of wasip1; build it with a newer toolchain.'
          : 'Build it for wasip1 (wasm32-wasip1, GOOS=wasip1), or as a component.',
      },
    );
  }
  if (!module.exports.includes('_start')) {
    throw new BuildError(
      'source',
      'not_a_command',
      'the module exports no _start function, so it is a library and no command',
      {
        hint: module.exports.includes('_initialize')
          ? 'It was built as a reactor; build it as a program with a main function.'
          : 'Build it for wasip1 as a program with a main function.',
      },
    );
  }
  if (!module.exports.includes('memory')) {
    throw new BuildError(
      'source',
      'not_a_command',
      'the module does not export its memory, so WASI could not reach it',
      {
        hint: 'Export the memory under the name "memory".',
      },
    );
  }
  return { world: 'module', warnings: [] };
}
