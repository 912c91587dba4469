import { parse } from '@bytecodealliance/jco';

/** The binary format of a module or component in text. */
export async function wat(text: string): Promise<Uint8Array> {
  return parse(text);
}
