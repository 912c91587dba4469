import type { Address } from '../egress/address.ts';
import type { CloseReason, Connection, ConnectionSink, FailureCode, LookupSink } from '../egress/broker.ts';
import { encodeClose, encodeDialed, encodeFailed, encodeResolved } from './egress-frames.ts';
import { FrameType, INITIAL_CREDIT_BYTES, MAX_PAYLOAD_BYTES, ProtocolViolation } from './frame.ts';

/** What an even stream needs of its lane. */
export type EgressLane = {
  writeFrame: (type: number, stream: number, payload: Buffer) => void;
  writeBody: (stream: number, chunk: Buffer) => void;
  writeEnd: (stream: number, trailers: string[]) => void;
  writeCredit: (stream: number, bytes: number) => void;
  /** The worker does not read: nothing more is to be sent until `drained` of its streams was called. */
  readonly congested: boolean;
};

const GRANT_STEP_BYTES = INITIAL_CREDIT_BYTES / 4;

/** One even stream of a lane, a connection or a look-up: keeps the order of frames and the credit of both directions. */
export class EgressStream implements ConnectionSink, LookupSink {
  readonly number: number;
  /** The stream of the invocation that has opened it. */
  readonly invocation: number;
  /** It may be used again by another invocation of its process. */
  readonly outlivesInvocation: boolean;
  readonly #lane: EgressLane;
  #connection: Connection | undefined;
  #connected = false;
  #sendCreditBytes = INITIAL_CREDIT_BYTES;
  #receiveCreditBytes = INITIAL_CREDIT_BYTES;
  #ungrantedBytes = 0;
  /** What has come from outside and waits for the lane: little, as no more comes than was released. */
  #pending: Buffer[] = [];
  #endReceived = false;
  #endPending = false;
  #closing: CloseReason | undefined;
  #closeSent = false;

  constructor(number: number, invocation: number, outlivesInvocation: boolean, lane: EgressLane) {
    this.number = number;
    this.invocation = invocation;
    this.outlivesInvocation = outlivesInvocation;
    this.#lane = lane;
  }

  /** Takes what the broker has made of the request. */
  attach(connection: Connection): void {
    this.#connection = connection;
  }

  connected(address: Address, port: number): void {
    if (this.#closeSent) return;
    this.#connected = true;
    this.#lane.writeFrame(FrameType.dialed, this.number, encodeDialed(address, port));
  }

  resolved(addresses: readonly Address[]): void {
    if (this.#closeSent) return;
    this.#lane.writeFrame(FrameType.resolved, this.number, encodeResolved(addresses));
    this.#sendClose('ordinary');
  }

  failed(code: FailureCode): void {
    if (this.#closeSent) return;
    this.#lane.writeFrame(FrameType.failed, this.number, encodeFailed(code));
    this.#sendClose('ordinary');
  }

  data(chunk: Buffer): void {
    if (this.#closeSent) return;
    this.#pending.push(chunk);
    this.#pump();
  }

  end(): void {
    this.#endPending = true;
    this.#pump();
  }

  written(bytes: number): void {
    if (this.#closeSent || this.#endReceived) return;
    this.#ungrantedBytes += bytes;
    if (this.#ungrantedBytes < GRANT_STEP_BYTES) return;
    this.#receiveCreditBytes += this.#ungrantedBytes;
    this.#lane.writeCredit(this.number, this.#ungrantedBytes);
    this.#ungrantedBytes = 0;
  }

  closed(reason: CloseReason): void {
    this.#closing ??= reason;
    this.#pump();
  }

  /** The lane takes frames again. */
  drained(): void {
    this.#pump();
  }

  /** BODY was read. */
  receiveBody(chunk: Buffer): void {
    if (chunk.length === 0) throw new ProtocolViolation('empty BODY');
    if (!this.#connected || this.#endReceived) throw new ProtocolViolation('BODY on a connection that is not open');
    this.#receiveCreditBytes -= chunk.length;
    if (this.#receiveCreditBytes < 0) throw new ProtocolViolation('BODY beyond the credit');
    // What was read is valid only now, and the other side may take its time.
    this.#connection?.write(Buffer.from(chunk));
  }

  /** END was read. */
  receiveEnd(): void {
    if (!this.#connected || this.#endReceived) throw new ProtocolViolation('END on a connection that is not open');
    this.#endReceived = true;
    this.#connection?.end();
  }

  /** CREDIT was read. */
  receiveCredit(bytes: number): void {
    this.#sendCreditBytes += bytes;
    if (this.#sendCreditBytes > INITIAL_CREDIT_BYTES) throw new ProtocolViolation('CREDIT for more than was sent');
    // The worker has them, so what they were read into may be used again. One that says so too early spoils its own connection only.
    this.#connection?.release(bytes);
    this.#pump();
  }

  /** CLOSE was read: the worker sends nothing more on this stream. */
  receiveClose(): void {
    this.#pending = [];
    this.#connection?.close();
    this.#sendClose('ordinary');
  }

  /** Ends it from this side, whatever is under way; the worker still answers with CLOSE. */
  abort(): void {
    this.#pending = [];
    this.#connection?.close();
    this.#sendClose('reset');
  }

  /** The worker is gone. */
  lose(): void {
    this.#closeSent = true;
    this.#pending = [];
    this.#connection?.close();
  }

  #pump(): void {
    if (this.#closeSent) return;
    while (this.#pending.length > 0 && this.#sendCreditBytes > 0 && !this.#lane.congested) {
      const chunk = this.#pending[0]!;
      const bytes = Math.min(chunk.length, this.#sendCreditBytes, MAX_PAYLOAD_BYTES);
      this.#sendCreditBytes -= bytes;
      if (bytes === chunk.length) this.#pending.shift();
      else this.#pending[0] = chunk.subarray(bytes);
      this.#lane.writeBody(this.number, chunk.subarray(0, bytes));
    }
    if (this.#pending.length > 0) return;
    if (this.#endPending) {
      this.#endPending = false;
      this.#lane.writeEnd(this.number, []);
    }
    if (this.#closing !== undefined) this.#sendClose(this.#closing);
  }

  #sendClose(reason: CloseReason): void {
    if (this.#closeSent) return;
    this.#closeSent = true;
    this.#lane.writeFrame(FrameType.close, this.number, encodeClose(reason));
  }
}
