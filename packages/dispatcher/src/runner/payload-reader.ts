import { isUtf8 } from 'node:buffer';
import { ProtocolViolation } from './frame.ts';

/** Name, value, name, value …: a list of HTTP fields in the order of the message, as Node's `rawHeaders`. */
export type RawHeaders = string[];

/** Reads the fields of a binary payload one after the other; every read is checked against the payload's end. */
export class PayloadReader {
  #payload: Buffer;
  #offset = 0;

  constructor(payload: Buffer) {
    this.#payload = payload;
  }

  u8(): number {
    return this.#payload[this.#take(1)]!;
  }

  u16(): number {
    return this.#payload.readUInt16LE(this.#take(2));
  }

  u32(): number {
    return this.#payload.readUInt32LE(this.#take(4));
  }

  /** A 64-bit count as a number; above 2^53 it loses its lowest bits, which no count of ours reaches. */
  u64(): number {
    const at = this.#take(8);
    return this.#payload.readUInt32LE(at) + this.#payload.readUInt32LE(at + 4) * 0x1_0000_0000;
  }

  latin1(): string {
    const bytes = this.u16();
    const at = this.#take(bytes);
    return this.#payload.toString('latin1', at, at + bytes);
  }

  /** @throws {ProtocolViolation} when it is longer than `maxBytes` or not UTF-8. */
  utf8(maxBytes: number): string {
    const bytes = this.u16();
    if (bytes > maxBytes) throw new ProtocolViolation(`text of ${bytes} bytes, at most ${maxBytes} are allowed`);
    const at = this.#take(bytes);
    if (!isUtf8(this.#payload.subarray(at, at + bytes))) throw new ProtocolViolation('text is not UTF-8');
    return this.#payload.toString('utf8', at, at + bytes);
  }

  headers(): RawHeaders {
    const count = this.u16();
    const headers: RawHeaders = [];
    for (let i = 0; i < count; i++) headers.push(this.latin1(), this.latin1());
    return headers;
  }

  rest(): Buffer {
    return this.#payload.subarray(this.#take(this.#payload.length - this.#offset));
  }

  /** @throws {ProtocolViolation} when bytes are left over. */
  finish(): void {
    if (this.#offset !== this.#payload.length) throw new ProtocolViolation('payload longer than its fields');
  }

  #take(bytes: number): number {
    const at = this.#offset;
    if (at + bytes > this.#payload.length) throw new ProtocolViolation('payload shorter than its fields');
    this.#offset = at + bytes;
    return at;
  }
}
