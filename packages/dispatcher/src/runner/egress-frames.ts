import { addressBytes, type Address } from '../egress/address.ts';
import type { CloseReason, FailureCode } from '../egress/broker.ts';
import { ProtocolViolation } from './frame.ts';
import { PayloadReader } from './payload-reader.ts';

/** No valid name or address is longer. */
const MAX_HOST_BYTES = 1024;
const CLOSE_REASONS: readonly CloseReason[] = ['ordinary', 'reset', 'timeout', 'limit'];

/** DIAL: `invocation` is the stream that it is made for. */
export type Dial = { invocation: number; host: string; port: number };
/** RESOLVE. */
export type Resolve = { invocation: number; name: string };

/** @throws {ProtocolViolation} like all decoders here, when it has another shape. */
export function decodeDial(payload: Buffer): Dial {
  const reader = new PayloadReader(payload);
  const dial = { invocation: reader.u32(), host: reader.utf8(MAX_HOST_BYTES), port: reader.u16() };
  reader.finish();
  return dial;
}

export function decodeResolve(payload: Buffer): Resolve {
  const reader = new PayloadReader(payload);
  const resolve = { invocation: reader.u32(), name: reader.utf8(MAX_HOST_BYTES) };
  reader.finish();
  return resolve;
}

/** The worker's CLOSE gives no reason. */
export function decodeClose(payload: Buffer): void {
  const reader = new PayloadReader(payload);
  if (reader.u8() !== 0) throw new ProtocolViolation('CLOSE with a reason from a worker');
  reader.finish();
}

/** Checks END of a connection, which has no trailers. */
export function decodeConnectionEnd(payload: Buffer): void {
  const reader = new PayloadReader(payload);
  if (reader.u16() !== 0) throw new ProtocolViolation('END of a connection with trailers');
  reader.finish();
}

/** The payload of DIALED. */
export function encodeDialed(address: Address, port: number): Buffer {
  return Buffer.concat([text16(addressBytes(address)), u16(port)]);
}

/** The payload of RESOLVED, which holds 64 addresses at most. */
export function encodeResolved(addresses: readonly Address[]): Buffer {
  return Buffer.concat([u16(addresses.length), ...addresses.map((address) => text16(addressBytes(address)))]);
}

/** The payload of FAILED. */
export function encodeFailed(code: FailureCode): Buffer {
  return text16(Buffer.from(code, 'latin1'));
}

/** The payload of CLOSE. */
export function encodeClose(reason: CloseReason): Buffer {
  return Buffer.from([CLOSE_REASONS.indexOf(reason)]);
}

function u16(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function text16(bytes: Buffer): Buffer {
  return Buffer.concat([u16(bytes.length), bytes]);
}
