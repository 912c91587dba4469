import type { Caller, EgressGate } from '../egress/broker.ts';
import { decodeClose, decodeConnectionEnd, decodeDial, decodeResolve } from './egress-frames.ts';
import { EgressStream, type EgressLane } from './egress-stream.ts';
import { FrameType, ProtocolViolation } from './frame.ts';
import { PayloadReader } from './payload-reader.ts';

/** Even streams that a worker has open at once; a worker of ours opens no more. */
const MAX_STREAMS = 512;

/** Who calls, by the stream of an invocation; `undefined` when there is no such invocation. */
export type Callers = (invocation: number) => Caller | undefined;

/** All even streams of a lane. */
export class EgressStreams {
  /** Set when the runner is bound to a function; before it nothing is reached. */
  gate: EgressGate | undefined;
  readonly #lane: EgressLane;
  readonly #callers: Callers;
  readonly #open = new Map<number, EgressStream>();

  constructor(lane: EgressLane, callers: Callers) {
    this.#lane = lane;
    this.#callers = callers;
  }

  /** Takes a frame of an even stream. @throws {ProtocolViolation} */
  receive(type: number, number: number, payload: Buffer): void {
    if (type === FrameType.dial || type === FrameType.resolve) return this.#begin(type, number, payload);
    const stream = this.#open.get(number);
    if (stream === undefined) throw new ProtocolViolation(`frame for stream ${number}, which is not open`);
    switch (type) {
      case FrameType.body:
        return stream.receiveBody(payload);
      case FrameType.end:
        decodeConnectionEnd(payload);
        return stream.receiveEnd();
      case FrameType.credit: {
        const reader = new PayloadReader(payload);
        const bytes = reader.u32();
        reader.finish();
        return stream.receiveCredit(bytes);
      }
      case FrameType.close:
        decodeClose(payload);
        this.#open.delete(number);
        return stream.receiveClose();
      default:
        throw new ProtocolViolation(`frame of type ${type} on an even stream`);
    }
  }

  /** An invocation is over: what may not outlive it ends. */
  invocationEnded(invocation: number): void {
    if (this.#open.size === 0) return;
    for (const stream of this.#open.values()) {
      if (stream.invocation === invocation && !stream.outlivesInvocation) stream.abort();
    }
  }

  /** The lane takes frames again. */
  drained(): void {
    for (const stream of this.#open.values()) stream.drained();
  }

  /** The worker is gone. */
  lose(): void {
    for (const stream of this.#open.values()) stream.lose();
    this.#open.clear();
  }

  #begin(type: number, number: number, payload: Buffer): void {
    if (this.#open.has(number)) throw new ProtocolViolation(`stream ${number} is open already`);
    if (this.#open.size >= MAX_STREAMS) throw new ProtocolViolation('too many even streams');
    const dial = type === FrameType.dial ? decodeDial(payload) : undefined;
    const resolve = dial === undefined ? decodeResolve(payload) : undefined;
    const invocation = (dial ?? resolve!).invocation;
    const caller = this.#callers(invocation);
    if (caller === undefined || this.gate === undefined) {
      throw new ProtocolViolation(`a connection for stream ${invocation}, which is not open`);
    }
    const outlives = dial !== undefined && this.gate.outlives(dial.host);
    const stream = new EgressStream(number, invocation, outlives, this.#lane);
    this.#open.set(number, stream);
    if (dial !== undefined) stream.attach(this.gate.dial(caller, dial.host, dial.port, stream));
    else stream.attach(this.gate.resolve(caller, resolve!.name, stream));
  }
}
