import { ProtocolViolation } from './frame.ts';

/** The members of LOAD that bound an invocation. */
export type LoadLimits = {
  fuel: number;
  cpuMs: number;
  wallMs: number;
  memoryBytes: number;
  instances: number;
  memories: number;
  tables: number;
  tableElements: number;
  resources: number;
  hostcallBytes: number;
  randomBytes: number;
  responseHeaderBytes: number;
  logBytes: number;
  logLines: number;
};

/** LOAD: what to load and how to run it. Members are described in docs/runner-protocol.md. */
export type LoadMessage = LoadLimits & {
  component: string;
  kind: 'component' | 'module';
  requestsPerWorker: number;
  concurrency: number;
  lanes: number[];
  oneWorker?: boolean;
  env: readonly (readonly [string, string])[];
  /** Certificates (PEM) that outgoing TLS trusts beside the public ones. */
  egressRoots?: string;
};

export type HelloMessage = { protocol: number; runner: string; wasmtime: string; lanes: number };
export type LoadedMessage = { world: string; loadUs: number };
export type RefusedMessage = { reason: string; detail: string };

/** What `wait4` told of a worker. */
export type EndedWorker = { worker: number; status: number; signal: number; cpuUs: number; maxRssKb: number };
export type WorkerMessage = { lane: number; ended?: EndedWorker; started?: number; resynced?: boolean };

/** @throws {ProtocolViolation} like all parsers below, when the payload is not JSON or a member is missing or of another type. */
export function parseHello(payload: Buffer): HelloMessage {
  const value = parseObject(payload);
  return {
    protocol: count(value, 'protocol'),
    runner: text(value, 'runner'),
    wasmtime: text(value, 'wasmtime'),
    lanes: count(value, 'lanes'),
  };
}

export function parseLoaded(payload: Buffer): LoadedMessage {
  const value = parseObject(payload);
  return { world: text(value, 'world'), loadUs: count(value, 'loadUs') };
}

export function parseRefused(payload: Buffer): RefusedMessage {
  const value = parseObject(payload);
  return { reason: text(value, 'reason'), detail: text(value, 'detail') };
}

export function parseWorker(payload: Buffer): WorkerMessage {
  const value = parseObject(payload);
  const message: WorkerMessage = { lane: count(value, 'lane') };
  if (value['ended'] !== undefined) {
    const ended = asObject(value['ended']);
    message.ended = {
      worker: count(ended, 'worker'),
      status: count(ended, 'status'),
      signal: count(ended, 'signal'),
      cpuUs: count(ended, 'cpuUs'),
      maxRssKb: count(ended, 'maxRssKb'),
    };
  }
  if (value['started'] !== undefined) message.started = count(value, 'started');
  if (value['resynced'] === true) message.resynced = true;
  return message;
}

type JsonObject = Record<string, unknown>;

function parseObject(payload: Buffer): JsonObject {
  try {
    return asObject(JSON.parse(payload.toString('utf8')));
  } catch (error) {
    if (error instanceof ProtocolViolation) throw error;
    throw new ProtocolViolation('control frame is not JSON', { cause: error });
  }
}

function asObject(value: unknown): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new ProtocolViolation('control frame is not an object');
}

function count(value: JsonObject, member: string): number {
  const found = value[member];
  if (typeof found === 'number' && Number.isSafeInteger(found) && found >= 0) return found;
  throw new ProtocolViolation(`member ${member} of a control frame is not a count`);
}

function text(value: JsonObject, member: string): string {
  const found = value[member];
  if (typeof found === 'string') return found;
  throw new ProtocolViolation(`member ${member} of a control frame is not a text`);
}
