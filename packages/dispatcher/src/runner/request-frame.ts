import type { RawHeaders } from './payload-reader.ts';
import { FRAME_HEAD_BYTES, FrameType, writeFrameHead } from './frame.ts';

/** The head of a request as the function will see it. */
export type RequestHead = {
  method: string;
  scheme: string;
  authority: string;
  /** Begins with `/`; holds the query. */
  pathWithQuery: string;
  remoteAddress: string;
  headers: RawHeaders;
};

/**
 * The most bytes that the REQUEST frame of this head can take. All strings are Latin-1, one byte a character, as
 * Node's HTTP parser hands them out; it bounds the head at `maxRequestHeaderBytes`, far below a frame's limit.
 */
export function requestFrameBytes(head: RequestHead): number {
  let bytes = FRAME_HEAD_BYTES + 2 * 4 + 4 + 2;
  bytes += head.method.length + head.scheme.length + head.authority.length;
  bytes += head.pathWithQuery.length + head.remoteAddress.length;
  for (const text of head.headers) bytes += 2 + text.length;
  return bytes;
}

/** Writes REQUEST at `offset` and returns the offset after it. `target` has room for `requestFrameBytes(head)`. */
export function writeRequestFrame(target: Buffer, offset: number, stream: number, head: RequestHead): number {
  let at = offset + FRAME_HEAD_BYTES;
  at = writeText16(target, at, head.method);
  at = writeText16(target, at, head.scheme);
  at = writeText16(target, at, head.authority);
  target.writeUInt32LE(head.pathWithQuery.length, at);
  at += 4;
  at += target.write(head.pathWithQuery, at, 'latin1');
  at = writeText16(target, at, head.remoteAddress);
  at = writeHeaders(target, at, head.headers);
  writeFrameHead(target, offset, FrameType.request, stream, at - offset - FRAME_HEAD_BYTES);
  return at;
}

/** Writes END with trailers at `offset` and returns the offset after it. */
export function writeEndFrame(target: Buffer, offset: number, stream: number, trailers: RawHeaders): number {
  const end = writeHeaders(target, offset + FRAME_HEAD_BYTES, trailers);
  writeFrameHead(target, offset, FrameType.end, stream, end - offset - FRAME_HEAD_BYTES);
  return end;
}

/** The bytes of END with these trailers. */
export function endFrameBytes(trailers: RawHeaders): number {
  let bytes = FRAME_HEAD_BYTES + 2;
  for (const text of trailers) bytes += 2 + text.length;
  return bytes;
}

function writeHeaders(target: Buffer, offset: number, headers: RawHeaders): number {
  target.writeUInt16LE(headers.length / 2, offset);
  let at = offset + 2;
  for (const text of headers) at = writeText16(target, at, text);
  return at;
}

function writeText16(target: Buffer, offset: number, text: string): number {
  target.writeUInt16LE(text.length, offset);
  return offset + 2 + target.write(text, offset + 2, 'latin1');
}
