import type { CoreModule } from './core-module.ts';
import { readCoreModule } from './core-module.ts';
import type { WasmReader } from './wasm-reader.ts';
import { createWasmReader, readSections, WasmFormatError } from './wasm-reader.ts';

/** The outside of a component: what it asks of its host and what it offers. */
export type ComponentInterface = {
  /** Names of its imports, such as `wasi:http/types@0.2.10`, in order. */
  readonly imports: readonly string[];
  /** Names of its exports, such as `wasi:http/incoming-handler@0.2.10`, in order. */
  readonly exports: readonly string[];
  /** The core modules inside, those of nested components included. */
  readonly modules: readonly CoreModule[];
};

const CORE_MODULE_SECTION = 1;
const NESTED_COMPONENT_SECTION = 4;
const IMPORT_SECTION = 10;
const EXPORT_SECTION = 11;
const MAX_NESTING = 32;

/**
 * Reads the outside of a component. Types and code are left to the compiler, which validates everything.
 *
 * @param bytes the whole component, its first eight bytes included
 * @throws WasmFormatError when it is damaged
 */
export function readComponentInterface(bytes: Uint8Array, start = 0, depth = 0): ComponentInterface {
  if (depth > MAX_NESTING) throw new WasmFormatError(`components are nested more than ${MAX_NESTING} deep`);
  const reader = createWasmReader(bytes, start);
  reader.bytes(8);
  const imports: string[] = [];
  const exports: string[] = [];
  const modules: CoreModule[] = [];
  for (const { id, content } of readSections(reader)) {
    if (id === IMPORT_SECTION) readImports(content, imports);
    if (id === EXPORT_SECTION) readExports(content, exports);
    if (id === CORE_MODULE_SECTION) modules.push(readNested(content, readCoreModule));
    if (id === NESTED_COMPONENT_SECTION) {
      const nested = readNested(content, (inner, at) => readComponentInterface(inner, at, depth + 1));
      modules.push(...nested.modules);
    }
  }
  return { imports, exports, modules };
}

function readNested<T>(content: WasmReader, read: (bytes: Uint8Array, start: number) => T): T {
  const start = content.offset();
  return read(content.rest(), start);
}

function readImports(content: WasmReader, imports: string[]): void {
  for (let left = content.u32(); left > 0; left -= 1) {
    imports.push(readExternName(content));
    skipExternType(content);
  }
}

function readExports(content: WasmReader, exports: string[]): void {
  for (let left = content.u32(); left > 0; left -= 1) {
    exports.push(readExternName(content));
    skipSort(content);
    content.u32();
    if (content.byte() === 0x01) skipExternType(content);
  }
}

/** Forms 0 and 1 are a plain name. Form 2, a name with options, is behind a feature that Wasmtime has switched off. */
function readExternName(content: WasmReader): string {
  const form = content.byte();
  if (form > 0x01) throw new WasmFormatError(`a name at offset ${content.offset()} has a form that is not supported`);
  return content.name();
}

function skipSort(content: WasmReader): void {
  // 0 means: of a core thing, whose kind follows.
  if (content.byte() === 0x00) content.byte();
}

function skipExternType(content: WasmReader): void {
  const sort = content.byte();
  if (sort === 0x00) content.byte();
  if (sort === 0x02 && content.byte() === 0x01) return skipValueType(content);
  if (sort === 0x03 && content.byte() === 0x01) return;
  content.u32();
}

function skipValueType(content: WasmReader): void {
  // A primitive type is one byte of the negative range of LEB128, an index otherwise; both end at the first byte below 0x80.
  while (content.byte() >= 0x80);
}
