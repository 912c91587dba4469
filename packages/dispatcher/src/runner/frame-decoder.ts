import { checkFrameType, FRAME_HEAD_BYTES, FrameType, MAX_PAYLOAD_BYTES, ProtocolViolation } from './frame.ts';

/**
 * Takes one frame. `payload` is a view of what was pushed, or of a copy; it is valid only during the call, and it may be empty. A BODY frame that is not
 * complete yet is handed over in parts, as if each were a frame: bodies have no boundaries.
 */
export type FrameHandler = (type: number, stream: number, payload: Buffer) => void;

/** Cuts a byte stream into frames. */
export type FrameDecoder = {
  /**
   * Takes what was read and calls the handler for each frame that is complete.
   * @throws {ProtocolViolation} when a head is not valid. What the handler throws passes through.
   */
  push: (chunk: Buffer) => void;
  /** Bytes of a frame that is not complete yet. */
  pendingBytes: () => number;
  /** Forgets an incomplete frame, and the rest of one that was handed over in part. */
  reset: () => void;
};

/** A decoder that hands every frame to `onFrame`. It holds at most one incomplete frame. */
export function createFrameDecoder(onFrame: FrameHandler): FrameDecoder {
  let parts: Buffer[] = [];
  let partsBytes = 0;
  /** Bytes that the incomplete frame has in all, as far as known: its head until that is there. */
  let wantedBytes = FRAME_HEAD_BYTES;
  /** Of a BODY frame that was handed over in part: what is still to come, and for which stream. */
  let bodyBytes = 0;
  let bodyStream = 0;

  const forgetParts = (): void => {
    parts = [];
    partsBytes = 0;
    wantedBytes = FRAME_HEAD_BYTES;
  };

  const passBody = (data: Buffer, start: number): number => {
    const end = Math.min(data.length, start + bodyBytes);
    if (end > start) {
      bodyBytes -= end - start;
      onFrame(FrameType.body, bodyStream, data.subarray(start, end));
    }
    return end;
  };

  const push = (chunk: Buffer): void => {
    let data = chunk;
    let offset = passBody(chunk, 0);
    if (partsBytes > 0) {
      parts.push(Buffer.from(chunk));
      partsBytes += chunk.length;
      // Joined only when the frame is complete, so that a large frame in many reads is copied once.
      if (partsBytes < wantedBytes) return;
      data = Buffer.concat(parts, partsBytes);
      forgetParts();
    }
    while (data.length - offset >= FRAME_HEAD_BYTES) {
      const payloadBytes = data.readUInt32LE(offset);
      const type = data[offset + 4]!;
      const stream = data.readUInt32LE(offset + 8);
      checkFrameType(type, stream);
      if (payloadBytes > MAX_PAYLOAD_BYTES) throw new ProtocolViolation(`frame of ${payloadBytes} bytes`);
      if (data[offset + 5] !== 0 || data[offset + 6] !== 0 || data[offset + 7] !== 0) {
        throw new ProtocolViolation("reserved bytes of a frame's head are not zero");
      }
      const end = offset + FRAME_HEAD_BYTES + payloadBytes;
      const start = offset + FRAME_HEAD_BYTES;
      if (end > data.length) {
        if (type !== FrameType.body) break;
        bodyBytes = payloadBytes;
        bodyStream = stream;
        offset = passBody(data, start);
        continue;
      }
      // Before the handler is called: it may throw, or cause a reset.
      offset = end;
      onFrame(type, stream, data.subarray(start, end));
    }
    if (offset < data.length) keep(data.subarray(offset));
  };

  const keep = (rest: Buffer): void => {
    parts = [Buffer.from(rest)];
    partsBytes = rest.length;
    wantedBytes = rest.length >= FRAME_HEAD_BYTES ? FRAME_HEAD_BYTES + rest.readUInt32LE(0) : FRAME_HEAD_BYTES;
  };

  const reset = (): void => {
    forgetParts();
    bodyBytes = 0;
  };

  return { push, reset, pendingBytes: () => partsBytes + bodyBytes };
}
