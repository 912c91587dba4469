import type { WasmReader } from './wasm-reader.ts';
import { createWasmReader, readSections } from './wasm-reader.ts';

/** What build-cwasm needs to know of a core module. */
export type CoreModule = {
  /** Names of the modules that it imports from, each once. */
  readonly importedModules: readonly string[];
  /** Names of its exports. */
  readonly exports: readonly string[];
  /** Languages and tools named in the `producers` section, lower case; empty where there is none. */
  readonly producers: readonly string[];
  /** Names of its custom sections. */
  readonly customSections: readonly string[];
};

const CUSTOM_SECTION = 0;
const IMPORT_SECTION = 2;
const EXPORT_SECTION = 7;

/**
 * Reads imports, exports and producers of a core module; the code is left to the compiler.
 *
 * @param bytes the whole module, its first eight bytes included
 * @throws WasmFormatError when it is damaged
 */
export function readCoreModule(bytes: Uint8Array, start = 0): CoreModule {
  const reader = createWasmReader(bytes, start);
  reader.bytes(8);
  const importedModules = new Set<string>();
  const exports: string[] = [];
  const producers: string[] = [];
  const customSections: string[] = [];
  for (const { id, content } of readSections(reader)) {
    if (id === IMPORT_SECTION) readImports(content, importedModules);
    if (id === EXPORT_SECTION) readExports(content, exports);
    if (id === CUSTOM_SECTION) {
      const name = content.name();
      customSections.push(name);
      if (name === 'producers') readProducers(content, producers);
    }
  }
  return { importedModules: [...importedModules], exports, producers, customSections };
}

function readImports(content: WasmReader, importedModules: Set<string>): void {
  for (let left = content.u32(); left > 0; left -= 1) {
    importedModules.add(content.name());
    content.name();
    // The type of a global, a tag or a typed reference may be of a proposal that is unknown here: the rest is for the compiler.
    if (!skipImportType(content)) return;
  }
}

function skipImportType(content: WasmReader): boolean {
  const kind = content.byte();
  if (kind === 0x00) content.u32();
  else if (kind === 0x01 && isPlainReference(content.byte())) skipLimits(content);
  else if (kind === 0x02) skipLimits(content);
  else if (kind === 0x03 && content.byte() >= 0x6f) content.byte();
  else return false;
  return true;
}

function isPlainReference(type: number): boolean {
  return type === 0x70 || type === 0x6f;
}

function skipLimits(content: WasmReader): void {
  const flags = content.byte();
  content.u32();
  if ((flags & 1) !== 0) content.u32();
}

function readExports(content: WasmReader, exports: string[]): void {
  for (let left = content.u32(); left > 0; left -= 1) {
    exports.push(content.name());
    content.byte();
    content.u32();
  }
}

function readProducers(content: WasmReader, producers: string[]): void {
  for (let fields = content.u32(); fields > 0; fields -= 1) {
    content.name();
    for (let values = content.u32(); values > 0; values -= 1) {
      producers.push(content.name().toLowerCase());
      content.name();
    }
  }
}
