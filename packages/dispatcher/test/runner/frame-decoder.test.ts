import { describe, expect, test } from 'vitest';
import {
  encodeFrame,
  FRAME_HEAD_BYTES,
  FrameType,
  MAX_PAYLOAD_BYTES,
  ProtocolViolation,
} from '../../src/runner/frame.ts';
import { createFrameDecoder } from '../../src/runner/frame-decoder.ts';
import { createRandom } from '../random.ts';

type Seen = { type: number; stream: number; payload: Buffer };

function decodeAll(chunks: Buffer[]): { frames: Seen[]; pending: number } {
  const frames: Seen[] = [];
  const decoder = createFrameDecoder((type, stream, payload) =>
    frames.push({ type, stream, payload: Buffer.from(payload) }),
  );
  for (const chunk of chunks) decoder.push(chunk);
  return { frames, pending: decoder.pendingBytes() };
}

/** A BODY may come in parts: what is next to each other and of one stream, in one piece. */
function joinBodies(frames: Seen[]): Seen[] {
  const joined: Seen[] = [];
  for (const frame of frames) {
    const last = joined.at(-1);
    if (frame.type === FrameType.body && last?.type === frame.type && last.stream === frame.stream) {
      last.payload = Buffer.concat([last.payload, frame.payload]);
    } else joined.push({ ...frame });
  }
  return joined;
}

function cut(bytes: Buffer, random: (below: number) => number, longest: number): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = 1 + random(longest);
    chunks.push(bytes.subarray(at, at + length));
    at += length;
  }
  return chunks;
}

describe('createFrameDecoder', () => {
  test('gives back what was encoded, however it was cut', () => {
    const random = createRandom(1);
    for (let round = 0; round < 200; round++) {
      const frames = Array.from({ length: 1 + random(8) }, () => ({
        type: 0x10 + random(8),
        stream: 1 + random(0xffff_fffe),
        payload: Buffer.alloc(random(4) === 0 ? random(70_000) : random(40), random(256)),
      }));
      const bytes = Buffer.concat(frames.map(({ type, stream, payload }) => encodeFrame(type, stream, payload)));
      const decoded = decodeAll(cut(bytes, random, 1 + random(bytes.length)));
      expect(joinBodies(decoded.frames)).toEqual(joinBodies(frames));
      expect(decoded.pending).toBe(0);
    }
  });

  test('a frame of the largest size passes, one byte more is a violation before the payload has come', () => {
    const largest = encodeFrame(FrameType.response, 1, Buffer.alloc(MAX_PAYLOAD_BYTES));
    expect(decodeAll(cut(largest, createRandom(2), 60_000)).frames).toHaveLength(1);
    const head = encodeFrame(FrameType.response, 1, Buffer.alloc(0));
    head.writeUInt32LE(MAX_PAYLOAD_BYTES + 1, 0);
    expect(() => decodeAll([head])).toThrow(ProtocolViolation);
  });

  test.each([5, 6, 7])('byte %i of the head must be zero', (at) => {
    const frame = encodeFrame(0x11, 1, Buffer.from('x'));
    frame[at] = 1;
    expect(() => decodeAll([frame])).toThrow(ProtocolViolation);
  });

  test('a body is handed over as it comes, without its end having been seen, and its rest can be forgotten', () => {
    const seen: string[] = [];
    const decoder = createFrameDecoder((type, stream, payload) => seen.push(`${type} ${stream} ${payload.toString()}`));
    const frame = encodeFrame(FrameType.body, 1, Buffer.from('abcdef'));
    decoder.push(frame.subarray(0, FRAME_HEAD_BYTES));
    expect(seen).toEqual([]);
    decoder.push(frame.subarray(FRAME_HEAD_BYTES, FRAME_HEAD_BYTES + 2));
    decoder.push(frame.subarray(FRAME_HEAD_BYTES + 2, FRAME_HEAD_BYTES + 3));
    expect(decoder.pendingBytes()).toBe(3);
    decoder.push(Buffer.concat([frame.subarray(FRAME_HEAD_BYTES + 3), frame.subarray(0, FRAME_HEAD_BYTES + 1)]));
    expect(seen).toEqual(['17 1 ab', '17 1 c', '17 1 def', '17 1 a']);
    decoder.reset();
    decoder.push(encodeFrame(FrameType.end, 1, Buffer.from('d')));
    expect(seen.at(-1)).toBe('18 1 d');
  });

  test('what is kept of an incomplete frame is a copy: the memory it was read into is used again', () => {
    const seen: string[] = [];
    const decoder = createFrameDecoder((_type, _stream, payload) => seen.push(payload.toString()));
    const memory = Buffer.alloc(64);
    for (const part of [...encodeFrame(FrameType.response, 1, Buffer.from('abcdef'))]) {
      memory[0] = part;
      decoder.push(memory.subarray(0, 1));
    }
    expect(seen).toEqual(['abcdef']);
  });

  test('half a frame stays pending and can be forgotten', () => {
    const seen: number[] = [];
    const decoder = createFrameDecoder((type) => seen.push(type));
    decoder.push(encodeFrame(FrameType.response, 1, Buffer.from('abc')).subarray(0, FRAME_HEAD_BYTES + 1));
    expect(decoder.pendingBytes()).toBe(FRAME_HEAD_BYTES + 1);
    decoder.reset();
    decoder.push(encodeFrame(FrameType.end, 1, Buffer.from('d')));
    expect(seen).toEqual([FrameType.end]);
  });

  test('random bytes end in frames or in a violation, never in anything else', () => {
    const random = createRandom(3);
    let violations = 0;
    for (let round = 0; round < 20_000; round++) {
      const bytes = Buffer.from(Array.from({ length: random(64) }, () => (random(3) === 0 ? random(256) : 0)));
      try {
        decodeAll(cut(bytes, random, 16));
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolViolation);
        violations++;
      }
    }
    expect(violations).toBeGreaterThan(1000);
  });
});
