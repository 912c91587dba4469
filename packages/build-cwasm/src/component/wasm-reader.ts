/** Bytes end or break the binary format where more was expected; `offset` counts from the start of the file. */
export class WasmFormatError extends Error {
  override readonly name = 'WasmFormatError';
}

/** Reads the binary format of modules and components, forward only and within bounds. */
export type WasmReader = {
  readonly offset: () => number;
  readonly atEnd: () => boolean;
  readonly byte: () => number;
  /** An unsigned LEB128 number of at most 32 bits. */
  readonly u32: () => number;
  /** A length-prefixed UTF-8 name. */
  readonly name: () => string;
  readonly bytes: (length: number) => Uint8Array;
  /** All bytes that are left. */
  readonly rest: () => Uint8Array;
  /** A reader over the next `length` bytes, which this one passes over. */
  readonly slice: (length: number) => WasmReader;
};

/** One section of a module or component. */
export type WasmSection = { readonly id: number; readonly content: WasmReader };

/** Makes a reader over bytes. `start` is their offset in the file, for messages. */
export function createWasmReader(bytes: Uint8Array, start = 0): WasmReader {
  const utf8 = new TextDecoder('utf-8', { fatal: true });
  let position = 0;

  function take(length: number): number {
    const from = position;
    if (length > bytes.length - from) {
      throw new WasmFormatError(`it ends in the middle of something at offset ${start + from}`);
    }
    position += length;
    return from;
  }

  const reader: WasmReader = {
    offset: () => start + position,
    atEnd: () => position === bytes.length,
    byte: () => bytes[take(1)]!,
    u32: () => {
      let value = 0;
      for (let shift = 0; shift < 35; shift += 7) {
        const byte = reader.byte();
        value += (byte & 0x7f) * 2 ** shift;
        if (byte < 0x80) {
          if (value > 0xffff_ffff) break;
          return value;
        }
      }
      throw new WasmFormatError(`a number at offset ${reader.offset()} is too large`);
    },
    name: () => {
      const encoded = reader.bytes(reader.u32());
      try {
        return utf8.decode(encoded);
      } catch (cause) {
        throw new WasmFormatError(`a name at offset ${reader.offset()} is not UTF-8`, { cause });
      }
    },
    bytes: (length) => {
      const from = take(length);
      return bytes.subarray(from, from + length);
    },
    rest: () => reader.bytes(bytes.length - position),
    slice: (length) => {
      const from = take(length);
      return createWasmReader(bytes.subarray(from, from + length), start + from);
    },
  };
  return reader;
}

/** What the first eight bytes say: a core module, a component, or neither. */
export function wasmKind(bytes: Uint8Array): 'module' | 'component' | undefined {
  const head = Buffer.from(bytes.subarray(0, 8)).toString('hex');
  if (head === '0061736d01000000') return 'module';
  if (head === '0061736d0d000100') return 'component';
  return undefined;
}

/** The sections after the first eight bytes, in order. */
export function* readSections(reader: WasmReader): Generator<WasmSection> {
  while (!reader.atEnd()) {
    const id = reader.byte();
    yield { id, content: reader.slice(reader.u32()) };
  }
}
