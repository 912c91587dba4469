import type { Caller } from '../egress/broker.ts';
import type { CallOrigin } from '../egress/caller.ts';
import { INITIAL_CREDIT_BYTES, ProtocolViolation } from './frame.ts';
import type { Lane } from './lane.ts';
import type { RawHeaders } from './payload-reader.ts';
import type { Done, ResponseHead } from './response-frames.ts';

/** Takes what a worker sends for one invocation, in the protocol's order. */
export type ResponseSink = {
  /** What its outgoing connections are to know of it; read before the first of them. Without it there are none. */
  readonly origin?: CallOrigin;
  response: (head: ResponseHead) => void;
  body: (chunk: Buffer) => void;
  end: (trailers: RawHeaders) => void;
  log: (source: 'stdout' | 'stderr', bytes: Buffer) => void;
  /** The worker granted credit: more of the request's body may be sent. */
  writable: () => void;
  /** Everything that was read together has been handed over: now is the time to write it on. */
  flush: () => void;
  done: (done: Done) => void;
  /** The process that served the invocation is gone, and no DONE will come. */
  lost: (reason: string) => void;
};

/** How much is granted again at once: often enough that the worker never waits, seldom enough that credit frames are few. */
const GRANT_STEP_BYTES = INITIAL_CREDIT_BYTES / 4;

/** One invocation on a lane: keeps the order of frames and the credit of both directions. */
export class InvocationStream {
  readonly number: number;
  readonly lane: Lane;
  readonly sink: ResponseSink;
  /** What is counted of its outgoing connections; `undefined` before the first. */
  caller: Caller | undefined;
  #sendCreditBytes = INITIAL_CREDIT_BYTES;
  #receiveCreditBytes = INITIAL_CREDIT_BYTES;
  #ungrantedBytes = 0;
  #requestEnded = false;
  #cancelled = false;
  #responded = false;
  #responseEnded = false;
  #closed = false;

  constructor(number: number, lane: Lane, sink: ResponseSink) {
    this.number = number;
    this.lane = lane;
    this.sink = sink;
  }

  /** Bytes of the request's body that may be sent now. */
  get sendCreditBytes(): number {
    return this.#sendCreditBytes;
  }

  /** Whether the invocation is over: DONE was read, or its worker is gone. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Sends a part of the request's body, at most `sendCreditBytes`. */
  sendBody(chunk: Buffer): void {
    if (this.#closed || this.#requestEnded) return;
    this.#sendCreditBytes -= chunk.length;
    this.lane.writeBody(this.number, chunk);
  }

  /** Says that the request's body is complete. */
  sendEnd(trailers: RawHeaders): void {
    if (this.#closed || this.#requestEnded) return;
    this.#requestEnded = true;
    this.lane.writeEnd(this.number, trailers);
  }

  /** Says that nobody wants the answer any more. The worker still answers with DONE. */
  cancel(): void {
    if (this.#closed || this.#cancelled) return;
    this.#cancelled = true;
    this.#requestEnded = true;
    this.lane.writeCancel(this.number);
  }

  /** Says that so many bytes of the response's body were passed on. */
  consumed(bytes: number): void {
    if (this.#closed || this.#responseEnded) return;
    this.#ungrantedBytes += bytes;
    if (this.#ungrantedBytes < GRANT_STEP_BYTES) return;
    this.#receiveCreditBytes += this.#ungrantedBytes;
    this.lane.writeCredit(this.number, this.#ungrantedBytes);
    this.#ungrantedBytes = 0;
  }

  /** RESPONSE was read. */
  receiveResponse(head: ResponseHead): void {
    if (this.#responded) throw new ProtocolViolation('RESPONSE twice');
    this.#responded = true;
    this.sink.response(head);
  }

  /** BODY was read. */
  receiveBody(chunk: Buffer): void {
    if (!this.#responded || this.#responseEnded) throw new ProtocolViolation('BODY outside of a response');
    this.#receiveCreditBytes -= chunk.length;
    if (this.#receiveCreditBytes < 0) throw new ProtocolViolation('BODY beyond the credit');
    this.sink.body(chunk);
  }

  /** END was read. */
  receiveEnd(trailers: RawHeaders): void {
    if (!this.#responded || this.#responseEnded) throw new ProtocolViolation('END outside of a response');
    this.#responseEnded = true;
    this.sink.end(trailers);
  }

  /** CREDIT was read. */
  receiveCredit(bytes: number): void {
    this.#sendCreditBytes += bytes;
    if (this.#sendCreditBytes > INITIAL_CREDIT_BYTES) throw new ProtocolViolation('CREDIT for more than was sent');
    this.sink.writable();
  }

  /** DONE was read, which says that all went well only after the end of the response. */
  checkDone(done: Done): void {
    if (done.outcome === 'ok' && !this.#responseEnded) throw new ProtocolViolation('DONE ok before END');
  }

  /** A DONE that was checked: nothing more comes, and nothing more is sent but the CANCEL that stands in for a missing END. */
  receiveDone(done: Done): void {
    if (!this.#requestEnded) this.cancel();
    this.#closed = true;
    this.sink.done(done);
  }

  /** The worker is gone. */
  lose(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.sink.lost(reason);
  }
}
