import { WORKER_OUTCOMES, type WorkerOutcome } from '../outcome/registry.ts';
import { ProtocolViolation } from './frame.ts';
import { PayloadReader, type RawHeaders } from './payload-reader.ts';

/** The head of a function's response, checked: it can be handed to Node's `writeHead` as it is. */
export type ResponseHead = { status: number; headers: RawHeaders };

/** How an invocation ended, as the worker says. */
export type Done = {
  outcome: WorkerOutcome;
  detail: string;
  fuel: number;
  guestCpuUs: number;
  wallUs: number;
  peakMemoryBytes: number;
  worker: number;
};

const MAX_DETAIL_BYTES = 4096;
/** Field names are tokens (RFC 9110 §5.6.2). */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Values hold visible characters, space, tab and bytes above 0x7f (RFC 9110 §5.5). */
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const INVALID_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
/** Fields that concern one connection only (RFC 9110 §7.6.1); Node's server sets its own. */
const CONNECTION_FIELDS = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'te',
  'trailer',
]);

/**
 * Decodes RESPONSE. Connection-level fields and those that begin with `x-playa-` are left out.
 * @throws {ProtocolViolation} where a worker of ours would have refused the response.
 */
export function decodeResponse(payload: Buffer): ResponseHead {
  const reader = new PayloadReader(payload);
  const status = reader.u16();
  if (status < 200 || status > 599) throw new ProtocolViolation(`response status ${status}`);
  const headers = checkFields(reader.headers());
  reader.finish();
  return { status, headers };
}

/** Decodes the trailers of END. @throws {ProtocolViolation} as for RESPONSE. */
export function decodeEnd(payload: Buffer): RawHeaders {
  // Nearly every END carries no trailers.
  if (payload.length === 2 && payload[0] === 0 && payload[1] === 0) return [];
  const reader = new PayloadReader(payload);
  const headers = checkFields(reader.headers());
  reader.finish();
  return headers;
}

/** Decodes DONE. @throws {ProtocolViolation} when it has another shape. */
export function decodeDone(payload: Buffer): Done {
  const reader = new PayloadReader(payload);
  const done = {
    outcome: reader.latin1() as WorkerOutcome,
    detail: reader.utf8(MAX_DETAIL_BYTES),
    fuel: reader.u64(),
    guestCpuUs: reader.u64(),
    wallUs: reader.u64(),
    peakMemoryBytes: reader.u64(),
    worker: reader.u32(),
  };
  reader.finish();
  if (!WORKER_OUTCOMES.has(done.outcome)) throw new ProtocolViolation('DONE with an outcome that a worker cannot know');
  return done;
}

/** Whether a field is for one connection only and therefore not passed on in either direction. */
export function isConnectionField(name: string): boolean {
  // By length first: nearly no field needs to be lower-cased.
  switch (name.length) {
    case 2:
    case 7:
    case 10:
    case 16:
    case 17:
      return CONNECTION_FIELDS.has(name.toLowerCase());
    default:
      return false;
  }
}

function checkFields(fields: RawHeaders): RawHeaders {
  let dropped = false;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    if (!TOKEN.test(name)) throw new ProtocolViolation('response field name is not a token');
    if (INVALID_VALUE.test(fields[i + 1]!)) throw new ProtocolViolation('response field value has control characters');
    if (isReservedField(name)) dropped = true;
  }
  if (!dropped) return fields;
  return fields.filter((_, i) => !isReservedField(fields[i - (i % 2)]!));
}

/** Fields that a function does not set: those of the connection, and the platform's own, so that nobody takes its word for the platform's. */
function isReservedField(name: string): boolean {
  return isConnectionField(name) || ((name[0] === 'x' || name[0] === 'X') && /^x-playa-/i.test(name));
}
