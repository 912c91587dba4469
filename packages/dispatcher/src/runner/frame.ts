/** The frames of docs/runner-protocol.md: types, sizes and the 12-byte head. */

export const FRAME_HEAD_BYTES = 12;
export const MAX_PAYLOAD_BYTES = 262_144;
/** What each body direction of a stream may send before the first CREDIT. */
export const INITIAL_CREDIT_BYTES = 262_144;

export const FrameType = {
  hello: 0x01,
  load: 0x02,
  loaded: 0x03,
  refused: 0x04,
  worker: 0x05,
  kill: 0x06,
  drain: 0x07,
  resync: 0x08,
  request: 0x10,
  body: 0x11,
  end: 0x12,
  credit: 0x13,
  cancel: 0x14,
  response: 0x15,
  log: 0x16,
  done: 0x17,
  dial: 0x20,
  resolve: 0x21,
  dialed: 0x22,
  resolved: 0x23,
  failed: 0x24,
  close: 0x25,
} as const;

/** By type: 0 unknown, 1 a frame of the control socket, 2 one of a lane. */
const SOCKET_OF_TYPE = new Uint8Array(256);
for (const type of Object.values(FrameType)) SOCKET_OF_TYPE[type] = type < FrameType.request ? 1 : 2;

/** @throws {ProtocolViolation} for an unknown type, and for a stream number that does not go with it. */
export function checkFrameType(type: number, stream: number): void {
  const socket = SOCKET_OF_TYPE[type];
  if (socket === 0) throw new ProtocolViolation(`unknown frame type ${type}`);
  if ((socket === 1) !== (stream === 0)) throw new ProtocolViolation(`frame of type ${type} on stream ${stream}`);
}

/** The peer broke the protocol. Whoever sees it kills the runner: nothing it says can be believed any more. */
export class ProtocolViolation extends Error {
  override name = 'ProtocolViolation';
}

/** Writes a frame's head at `offset`. */
export function writeFrameHead(
  target: Buffer,
  offset: number,
  type: number,
  stream: number,
  payloadBytes: number,
): void {
  target.writeUInt32LE(payloadBytes, offset);
  target[offset + 4] = type;
  target[offset + 5] = 0;
  target[offset + 6] = 0;
  target[offset + 7] = 0;
  target.writeUInt32LE(stream, offset + 8);
}

/** One whole frame in a buffer of its own. */
export function encodeFrame(type: number, stream: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEAD_BYTES + payload.length);
  writeFrameHead(frame, 0, type, stream, payload.length);
  frame.set(payload, FRAME_HEAD_BYTES);
  return frame;
}
