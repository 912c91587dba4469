import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseHello, parseLoaded, parseRefused, parseWorker } from '../../src/runner/control-messages.ts';
import { formatAddress, parseAddress } from '../../src/egress/address.ts';
import type { CloseReason, FailureCode } from '../../src/egress/broker.ts';
import {
  decodeClose,
  decodeDial,
  decodeResolve,
  encodeClose,
  encodeDialed,
  encodeFailed,
  encodeResolved,
} from '../../src/runner/egress-frames.ts';
import { encodeFrame, FrameType, ProtocolViolation } from '../../src/runner/frame.ts';
import { createFrameDecoder } from '../../src/runner/frame-decoder.ts';
import { PayloadReader } from '../../src/runner/payload-reader.ts';
import { endFrameBytes, requestFrameBytes, writeEndFrame, writeRequestFrame } from '../../src/runner/request-frame.ts';
import { decodeDone, decodeEnd, decodeResponse } from '../../src/runner/response-frames.ts';

type Fields = { type: string; stream: number; headers: [string, string][] } & Record<string, unknown>;
type Fixture = { name: string; hex: string; fields: Fields };
type Invalid = { name: string; level: 'frame' | 'payload'; receiver: string; hex: string };

/** The same file is read by the runner's tests. */
const fixtures = JSON.parse(
  readFileSync(new URL('../../../../test/fixtures/frames.json', import.meta.url), 'utf8'),
) as {
  frames: Fixture[];
  invalid: Invalid[];
};

type Frame = { type: number; stream: number; payload: Buffer };

function cut(hex: string): Frame[] {
  const frames: Frame[] = [];
  const decoder = createFrameDecoder((type, stream, payload) => frames.push({ type, stream, payload }));
  decoder.push(Buffer.from(hex, 'hex'));
  return frames;
}

/** Reads the payload of a frame that a dispatcher receives. */
function read({ type, payload }: Frame): unknown {
  switch (type) {
    case FrameType.hello:
      return parseHello(payload);
    case FrameType.loaded:
      return parseLoaded(payload);
    case FrameType.refused:
      return parseRefused(payload);
    case FrameType.worker:
      return parseWorker(payload);
    case FrameType.response:
      return decodeResponse(payload);
    case FrameType.end:
      return decodeEnd(payload);
    case FrameType.done:
      return decodeDone(payload);
    case FrameType.dial:
      return decodeDial(payload);
    case FrameType.resolve:
      return decodeResolve(payload);
    case FrameType.close:
      return decodeClose(payload);
    case FrameType.credit: {
      const reader = new PayloadReader(payload);
      const bytes = reader.u32();
      reader.finish();
      return bytes;
    }
    default:
      return undefined;
  }
}

const typeNamed = (name: string): number => FrameType[name.toLowerCase() as keyof typeof FrameType];

describe('frames of the fixtures', () => {
  test('there is one of every type', () => {
    const types = new Set(fixtures.frames.map(({ fields }) => typeNamed(fields.type)));
    expect([...types].toSorted((a, b) => a - b)).toEqual(Object.values(FrameType));
  });

  test.each(fixtures.frames)('$name', ({ hex, fields }) => {
    const [frame] = cut(hex);
    expect(frame).toMatchObject({ type: typeNamed(fields.type), stream: fields.stream });
    const headers = fields.headers?.flat();
    switch (fields.type) {
      case 'HELLO':
      case 'LOADED':
      case 'REFUSED':
      case 'WORKER':
        expect(read(frame!)).toEqual(fields['json']);
        break;
      case 'RESPONSE':
        expect(read(frame!)).toEqual({ status: fields['status'], headers });
        break;
      case 'CREDIT':
        expect(read(frame!)).toBe(fields['bytesGranted']);
        break;
      case 'DONE': {
        const { outcome, detail, fuel, cpuUs, wallUs, peakMemoryBytes, worker } = fields;
        expect(read(frame!)).toEqual({
          outcome,
          detail,
          fuel: Number(fuel),
          guestCpuUs: Number(cpuUs),
          wallUs: Number(wallUs),
          peakMemoryBytes: Number(peakMemoryBytes),
          worker,
        });
        break;
      }
      case 'REQUEST': {
        const { method, scheme, authority, path, remote } = fields as unknown as Record<string, string>;
        const head = {
          method: method!,
          scheme: scheme!,
          authority: authority!,
          pathWithQuery: path!,
          remoteAddress: remote!,
          headers,
        };
        const target = Buffer.alloc(requestFrameBytes(head));
        expect(writeRequestFrame(target, 0, fields.stream, head)).toBe(target.length);
        expect(target.toString('hex')).toBe(hex);
        break;
      }
      case 'END': {
        expect(read(frame!)).toEqual(headers);
        const target = Buffer.alloc(endFrameBytes(headers));
        writeEndFrame(target, 0, fields.stream, headers);
        expect(target.toString('hex')).toBe(hex);
        break;
      }
      case 'DIAL':
        expect(read(frame!)).toEqual({ invocation: fields['invocation'], host: fields['host'], port: fields['port'] });
        break;
      case 'RESOLVE':
        expect(read(frame!)).toEqual({ invocation: fields['invocation'], name: fields['host'] });
        break;
      case 'DIALED': {
        const address = parseAddress(fields['address'] as string)!;
        expect(formatAddress(address)).toBe(fields['address']);
        expect(frame!.payload).toEqual(encodeDialed(address, fields['port'] as number));
        break;
      }
      case 'RESOLVED': {
        const addresses = (fields['addresses'] as string[]).map((text) => parseAddress(text)!);
        expect(frame!.payload).toEqual(encodeResolved(addresses));
        break;
      }
      case 'FAILED':
        expect(frame!.payload).toEqual(encodeFailed(fields['code'] as FailureCode));
        break;
      case 'CLOSE':
        expect(frame!.payload).toEqual(encodeClose(fields['reason'] as CloseReason));
        break;
      case 'BODY':
      case 'LOG':
        expect(frame!.payload.toString('hex').endsWith(fields['bytes'] as string)).toBe(true);
        break;
      default:
        expect(encodeFrame(frame!.type, frame!.stream, frame!.payload).toString('hex')).toBe(hex);
    }
  });

  // The lane's own tests hold the rules of BODY and LOG, which need its state.
  const mine = fixtures.invalid.filter(
    ({ level, receiver, hex }) =>
      level === 'frame' || receiver === 'dispatcher' || (receiver === 'any' && !hex.startsWith('0000000011')),
  );
  test.each(mine.filter(({ name }) => !name.startsWith('log ') && !name.startsWith('body ')))(
    '$name is refused',
    ({ hex }) => {
      expect(() => cut(hex).map(read)).toThrow(ProtocolViolation);
    },
  );
});
