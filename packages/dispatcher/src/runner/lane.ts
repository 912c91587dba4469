import type { Socket } from 'node:net';
import type { Caller } from '../egress/broker.ts';
import { createCaller } from '../egress/caller.ts';
import { EgressStreams } from './egress-streams.ts';
import { FRAME_HEAD_BYTES, FrameType, ProtocolViolation, writeFrameHead } from './frame.ts';
import { createFrameDecoder } from './frame-decoder.ts';
import { InvocationStream, type ResponseSink } from './invocation-stream.ts';
import type { LaneSocket } from './lane-socket.ts';
import { createNonceFilter, type NonceFilter } from './nonce-filter.ts';
import { PayloadReader, type RawHeaders } from './payload-reader.ts';
import {
  endFrameBytes,
  requestFrameBytes,
  writeEndFrame,
  writeRequestFrame,
  type RequestHead,
} from './request-frame.ts';
import { slotOf, type StreamNumbers } from './stream-numbers.ts';
import { decodeDone, decodeEnd, decodeResponse } from './response-frames.ts';

/** Frames are gathered in a slab of this size and written together. Hundreds of lanes may be open, so it is small. */
const SLAB_BYTES = 32 * 1024;
/** Payloads above this are handed to the socket as they are instead of being copied. */
const COPY_LIMIT_BYTES = 8 * 1024;

/** Requests that are sent together: few enough that the worker begins while further ones are still being read, enough that it is seldom woken. */
const REQUESTS_PER_WRITE = 8;

/** Of how many answers the mean cost of one is taken, about. */
const MEAN_OF = 16;

/** With more than this on its way to a worker that does not read, connections from outside are not read either. */
const CONGESTED_BYTES = 512 * 1024;

/** What a lane tells its runner. */
export type LaneOwner = {
  streamNumber: StreamNumbers;
  nowMs: () => number;
  /** The peer broke the protocol: the runner is done for. */
  fail: (error: Error) => void;
  /** The socket is closed; most likely the runner has ended. */
  closed: (error: Error) => void;
};

/** One socket of a runner, on which a worker takes invocations. */
export class Lane {
  readonly index: number;
  /** The number of the worker that serves the lane; 0 while none is known. */
  worker = 0;
  /** Requests that this worker has been given, or will be: those that a lane was reserved for count. */
  servedRequests = 0;
  /** When the worker last sent something, or was given a request while it had none; milliseconds on the monotonic clock. */
  heardMs = 0;
  /** What a request has cost of late, as the worker says. It begins high: what is not known yet may be dear. */
  meanCpuUs = 1_000;
  /** The worker's outgoing connections. */
  readonly egress: EgressStreams = new EgressStreams(this, (invocation) => this.#callerOf(invocation));
  #reserved = 0;
  readonly #socket: Socket;
  readonly #owner: LaneOwner;
  /**
   * Open invocations, each in the slot that its number names. Not a Map: one that is filled and emptied all the time leaves a chain of old tables
   * behind, which keeps all requests alive until the next full garbage collection.
   */
  readonly #slots: (InvocationStream | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  #open = 0;
  readonly #decoder = createFrameDecoder((type, stream, payload) => this.#receive(type, stream, payload));
  #touched: InvocationStream[] = [];
  #nonceFilter: NonceFilter | undefined;
  #slab = Buffer.allocUnsafe(0);
  #slabStart = 0;
  #slabEnd = 0;
  #flushPlanned = false;
  #unsentRequests = 0;

  constructor(index: number, { socket, start }: LaneSocket, owner: LaneOwner) {
    this.index = index;
    this.#socket = socket;
    this.#owner = owner;
    socket.on('drain', () => this.egress.drained());
    socket.on('error', (error) => owner.closed(error));
    socket.on('close', () => owner.closed(new Error(`lane ${index} closed`)));
    start((chunk) => this.#read(chunk));
  }

  /** Invocations that are under way, and reservations. */
  get openStreams(): number {
    return this.#open + this.#reserved;
  }

  /** Keeps a place for a request that will be sent in a moment. */
  reserve(): void {
    if (this.openStreams === 0) this.heardMs = this.#owner.nowMs();
    this.#reserved++;
    this.servedRequests++;
  }

  /** Gives a reserved place back that no request was sent for. */
  cancelReservation(): void {
    this.#reserved--;
    this.servedRequests = Math.max(0, this.servedRequests - 1);
  }

  /** Begins an invocation on a reserved place: sends REQUEST. What comes back goes to `sink`. */
  open(head: RequestHead, sink: ResponseSink): InvocationStream {
    const slot = this.#freeSlots.pop() ?? this.#slots.length;
    const number = this.#owner.streamNumber(slot);
    const stream = new InvocationStream(number, this, sink);
    this.#slots[slot] = stream;
    this.#open++;
    this.#reserved--;
    // Before the next one is added, and not behind the last: what follows on a request, its END, goes with it.
    if (this.#unsentRequests === REQUESTS_PER_WRITE) this.#flush();
    const at = this.#makeRoom(requestFrameBytes(head));
    this.#slabEnd = writeRequestFrame(this.#slab, at, number, head);
    this.#unsentRequests++;
    return stream;
  }

  writeBody(stream: number, chunk: Buffer): void {
    if (chunk.length <= COPY_LIMIT_BYTES) {
      const at = this.#makeRoom(FRAME_HEAD_BYTES + chunk.length);
      writeFrameHead(this.#slab, at, FrameType.body, stream, chunk.length);
      chunk.copy(this.#slab, at + FRAME_HEAD_BYTES);
      this.#slabEnd = at + FRAME_HEAD_BYTES + chunk.length;
      return;
    }
    const at = this.#makeRoom(FRAME_HEAD_BYTES);
    writeFrameHead(this.#slab, at, FrameType.body, stream, chunk.length);
    this.#slabEnd = at + FRAME_HEAD_BYTES;
    this.#socket.cork();
    this.#flush();
    this.#socket.write(chunk);
    this.#socket.uncork();
  }

  writeEnd(stream: number, trailers: RawHeaders): void {
    const at = this.#makeRoom(endFrameBytes(trailers));
    this.#slabEnd = writeEndFrame(this.#slab, at, stream, trailers);
  }

  writeCredit(stream: number, bytes: number): void {
    const at = this.#makeRoom(FRAME_HEAD_BYTES + 4);
    writeFrameHead(this.#slab, at, FrameType.credit, stream, 4);
    this.#slabEnd = this.#slab.writeUInt32LE(bytes, at + FRAME_HEAD_BYTES);
  }

  /** Whether more is on its way to the worker than it should be. */
  get congested(): boolean {
    return this.#socket.writableLength > CONGESTED_BYTES;
  }

  writeFrame(type: number, stream: number, payload: Buffer): void {
    const at = this.#makeRoom(FRAME_HEAD_BYTES + payload.length);
    writeFrameHead(this.#slab, at, type, stream, payload.length);
    payload.copy(this.#slab, at + FRAME_HEAD_BYTES);
    this.#slabEnd = at + FRAME_HEAD_BYTES + payload.length;
  }

  writeCancel(stream: number): void {
    const at = this.#makeRoom(FRAME_HEAD_BYTES);
    writeFrameHead(this.#slab, at, FrameType.cancel, stream, 0);
    this.#slabEnd = at + FRAME_HEAD_BYTES;
  }

  /**
   * Brings the lane back to a frame's boundary after its worker died: sends the nonce, reads up to its echo, then loses what is still open and calls `onSynced`.
   * See "When a worker dies" in docs/runner-protocol.md.
   */
  resync(nonce: Buffer, reason: string, onSynced: () => void): void {
    this.#nonceFilter = createNonceFilter(nonce, (before) => {
      this.#nonceFilter = undefined;
      // Whole frames that the worker wrote before it died still count, and what has come of a body; half of another frame does not.
      if (before.length > 0) this.#decode(before);
      this.#decoder.reset();
      this.lose(reason);
      onSynced();
    });
    this.#flush();
    this.#socket.write(nonce);
  }

  /** Tells every open invocation that its worker is gone. */
  lose(reason: string): void {
    this.egress.lose();
    for (const stream of this.#slots) {
      if (stream === undefined) continue;
      this.#forget(stream);
      stream.lose(reason);
    }
  }

  /** Closes the socket. */
  destroy(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.heardMs = this.#owner.nowMs();
    try {
      if (this.#nonceFilter === undefined) this.#decode(chunk);
      else this.#nonceFilter.push(chunk);
    } catch (error) {
      this.#owner.fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #decode(chunk: Buffer): void {
    try {
      this.#decoder.push(chunk);
    } finally {
      const touched = this.#touched;
      if (touched.length > 0) {
        this.#touched = [];
        for (const stream of touched) stream.sink.flush();
      }
    }
  }

  #receive(type: number, number: number, payload: Buffer): void {
    if (number % 2 === 0) return this.egress.receive(type, number, payload);
    const stream = this.#slots[slotOf(number)];
    if (stream?.number !== number) throw new ProtocolViolation(`frame for stream ${number}, which is not open`);
    // The streams of one read come in runs, so this nearly always keeps each of them once.
    if (this.#touched.at(-1) !== stream) this.#touched.push(stream);
    switch (type) {
      case FrameType.response:
        return stream.receiveResponse(decodeResponse(payload));
      case FrameType.body:
        if (payload.length === 0) throw new ProtocolViolation('empty BODY');
        return stream.receiveBody(payload);
      case FrameType.end:
        return stream.receiveEnd(decodeEnd(payload));
      case FrameType.credit: {
        const reader = new PayloadReader(payload);
        const bytes = reader.u32();
        reader.finish();
        return stream.receiveCredit(bytes);
      }
      case FrameType.log: {
        const reader = new PayloadReader(payload);
        const source = reader.u8();
        if (source !== 1 && source !== 2) throw new ProtocolViolation(`LOG from ${source}`);
        return stream.sink.log(source === 1 ? 'stdout' : 'stderr', reader.rest());
      }
      case FrameType.done: {
        const done = decodeDone(payload);
        // While it is still known: a violation ends the runner, and with it every stream that is open.
        stream.checkDone(done);
        this.meanCpuUs += (done.guestCpuUs - this.meanCpuUs) / MEAN_OF;
        this.#forget(stream);
        this.egress.invocationEnded(number);
        return stream.receiveDone(done);
      }
      default:
        throw new ProtocolViolation(`frame of type ${type} on a lane`);
    }
  }

  #callerOf(invocation: number): Caller | undefined {
    const stream = invocation % 2 === 0 ? undefined : this.#slots[slotOf(invocation)];
    if (stream?.number !== invocation) return undefined;
    const { origin } = stream.sink;
    return (stream.caller ??= origin && createCaller(origin));
  }

  #forget(stream: InvocationStream): void {
    const slot = slotOf(stream.number);
    this.#slots[slot] = undefined;
    this.#freeSlots.push(slot);
    this.#open--;
  }

  /** Makes room for so many bytes and returns where they go; the caller sets `#slabEnd` after it has written them. */
  #makeRoom(bytes: number): number {
    if (this.#slab.length - this.#slabEnd < bytes) {
      this.#flush();
      this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytes));
      this.#slabStart = 0;
      this.#slabEnd = 0;
    }
    if (!this.#flushPlanned) {
      this.#flushPlanned = true;
      // Alone, a request goes out at once; under load together with others of this turn of the event loop.
      if (this.#open <= 1) process.nextTick(this.#flushAsPlanned);
      else setImmediate(this.#flushAsPlanned);
    }
    return this.#slabEnd;
  }

  readonly #flushAsPlanned = (): void => {
    this.#flushPlanned = false;
    this.#flush();
  };

  #flush(): void {
    this.#unsentRequests = 0;
    if (this.#slabEnd === this.#slabStart) return;
    const part = this.#slab.subarray(this.#slabStart, this.#slabEnd);
    this.#slabStart = this.#slabEnd;
    this.#socket.write(part);
    // Nearly always the kernel took all of it at once; what is still on its way must not be written over.
    if (this.#socket.writableLength === 0) this.#slabStart = this.#slabEnd = 0;
  }
}
