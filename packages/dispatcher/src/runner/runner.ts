import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type { EgressGate } from '../egress/broker.ts';
import { encodeFrame, FrameType, ProtocolViolation } from './frame.ts';
import { createFrameDecoder } from './frame-decoder.ts';
import { Lane } from './lane.ts';
import type { LaneSocket } from './lane-socket.ts';
import { describeSignal } from './signal-name.ts';
import type { StreamNumbers } from './stream-numbers.ts';
import {
  parseHello,
  parseLoaded,
  parseRefused,
  parseWorker,
  type EndedWorker,
  type HelloMessage,
  type LoadedMessage,
  type LoadMessage,
  type RefusedMessage,
} from './control-messages.ts';

/** What a runner tells its owner. Each may be called at any time after the runner was made. */
export type RunnerEvents = {
  hello: (message: HelloMessage) => void;
  loaded: (message: LoadedMessage) => void;
  refused: (message: RefusedMessage) => void;
  /** The lane can take a request: its worker has a successor that has served nothing. */
  laneReady: (lane: Lane) => void;
  /** A worker is gone, in whatever way. */
  workerEnded: (lane: Lane, ended: EndedWorker) => void;
  /** The runner is done for; all its invocations have been told. Called once, and not for one that was told to end. */
  failed: (error: Error) => void;
};

/**
 * A runner that ends closes all of its sockets at once, and the lanes' ends may be seen before its last word on the control socket, such
 * as why it refuses its artifact, has been read. A lane alone is not closed by anything that keeps to the protocol.
 */
const LAST_WORD_MS = 500;

/** The runner inside one sandbox, seen through its sockets. */
export class Runner {
  /** Names the sandbox in logs. */
  readonly id: number;
  readonly lanes: Lane[];
  events: RunnerEvents;
  readonly #control: Socket;
  readonly #kill: () => void;
  readonly #end: () => void;
  /** Lanes that are being brought back to a frame's boundary, with the number of signs still missing. */
  readonly #unsynced = new Map<Lane, number>();
  #over = false;
  #lastWord: NodeJS.Timeout | undefined;

  constructor(deps: {
    id: number;
    control: Socket;
    lanes: LaneSocket[];
    streamNumber: StreamNumbers;
    nowMs: () => number;
    /** Kills the whole sandbox. */
    kill: () => void;
    /** Sees to it that the sandbox ends, which it should by itself as its sockets are closed. */
    end: () => void;
    events: RunnerEvents;
  }) {
    this.id = deps.id;
    this.events = deps.events;
    this.#kill = deps.kill;
    this.#end = deps.end;
    this.#control = deps.control;
    const owner = {
      streamNumber: deps.streamNumber,
      nowMs: deps.nowMs,
      fail: (error: Error) => this.fail(error),
      closed: (error: Error) => {
        if (!this.#over) this.#lastWord ??= setTimeout(() => this.fail(error), LAST_WORD_MS);
      },
    };
    this.lanes = deps.lanes.map((socket, index) => new Lane(index, socket, owner));
    const decoder = createFrameDecoder((type, stream, payload) => this.#receive(type, stream, payload));
    this.#control.on('data', (chunk: Buffer) => {
      try {
        decoder.push(chunk);
      } catch (error) {
        this.fail(error instanceof Error ? error : new Error(String(error)));
      }
    });
    this.#control.on('error', (error) => this.fail(error));
    this.#control.on('close', () => this.fail(new Error('the runner ended')));
    this.#control.resume();
  }

  /** Invocations that are under way on all lanes. */
  get openStreams(): number {
    let count = 0;
    for (const lane of this.lanes) count += lane.openStreams;
    return count;
  }

  /** It failed, or was told to end. */
  get over(): boolean {
    return this.#over;
  }

  /** Binds the runner to a function: what it may reach, and what it is to run. */
  load(message: LoadMessage, gate?: EgressGate): void {
    for (const lane of this.lanes) lane.egress.gate = gate;
    this.#send(FrameType.load, message);
  }

  /** Asks for a worker on a further lane. */
  startWorker(lane: Lane): void {
    this.#send(FrameType.worker, { lane: lane.index });
  }

  /** Asks the supervisor to kill the lane's present worker. */
  killWorker(lane: Lane): void {
    this.#send(FrameType.kill, { lane: lane.index, worker: lane.worker });
  }

  /** Kills the sandbox, closes the sockets and tells every open invocation. Later calls do nothing. */
  fail(error: Error): void {
    if (this.#over) return;
    this.#kill();
    this.#close(error.message);
    this.events.failed(error);
  }

  /** Ends the sandbox, which has nothing under way. It takes it apart itself: to have it killed takes the spawner, and costs more. */
  end(): void {
    if (this.#over) return;
    this.#end();
    this.#close('the runner was retired');
  }

  #close(reason: string): void {
    this.#over = true;
    clearTimeout(this.#lastWord);
    this.#control.destroy();
    for (const lane of this.lanes) {
      lane.destroy();
      lane.lose(reason);
    }
  }

  #send(type: number, message: object): void {
    if (this.#over) return;
    this.#control.write(encodeFrame(type, 0, Buffer.from(JSON.stringify(message))));
  }

  #receive(type: number, stream: number, payload: Buffer): void {
    if (stream !== 0) throw new ProtocolViolation('control frame with a stream number');
    switch (type) {
      case FrameType.hello:
        return this.events.hello(parseHello(payload));
      case FrameType.loaded:
        return this.events.loaded(parseLoaded(payload));
      case FrameType.refused:
        return this.events.refused(parseRefused(payload));
      case FrameType.worker:
        return this.#receiveWorker(payload);
      default:
        throw new ProtocolViolation(`frame of type ${type} on the control socket`);
    }
  }

  #receiveWorker(payload: Buffer): void {
    const message = parseWorker(payload);
    const lane = this.lanes[message.lane];
    if (lane === undefined) throw new ProtocolViolation(`no lane ${message.lane}`);
    const { ended, started } = message;
    if (ended !== undefined) {
      // The start of the lanes that LOAD names is not told: the first word of their worker may be that of its end.
      lane.worker ||= ended.worker;
      this.events.workerEnded(lane, ended);
      if (ended.status !== 0 || ended.signal !== 0) this.#resync(lane, ended);
    }
    if (message.resynced === true && !this.#unsynced.has(lane)) {
      throw new ProtocolViolation(`lane ${lane.index} was resynced unasked`);
    }
    if (started === undefined) return;
    // A lane's first worker may have been given a request already, before it was known to have started.
    const first = lane.worker === 0;
    lane.worker = started;
    if (first) return;
    lane.servedRequests = 0;
    if (message.resynced === true) this.#resynced(lane);
    else this.events.laneReady(lane);
  }

  #resync(lane: Lane, ended: EndedWorker): void {
    const nonce = randomBytes(32);
    const reason = ended.signal === 0 ? `exit status ${ended.status}` : describeSignal(ended.signal);
    this.#unsynced.set(lane, 2);
    this.#send(FrameType.resync, { lane: lane.index, nonce: nonce.toString('hex') });
    lane.resync(nonce, reason, () => this.#resynced(lane));
  }

  /** The nonce on the lane and the word on the control socket come in any order; the lane is ready after both. */
  #resynced(lane: Lane): void {
    const missing = (this.#unsynced.get(lane) ?? 0) - 1;
    if (missing < 0) throw new ProtocolViolation(`lane ${lane.index} was resynced unasked`);
    this.#unsynced.set(lane, missing);
    if (missing === 0) {
      this.#unsynced.delete(lane);
      this.events.laneReady(lane);
    }
  }
}
