import type { IncomingMessage } from 'node:http';
import type { CallOrigin } from '../egress/caller.ts';
import { readTraceContext } from '../egress/trace-context.ts';
import type { Limits } from '../policy/limits.ts';
import { InvocationError } from '../outcome/invocation-error.ts';
import type { Lease } from '../pool/function-runners.ts';
import { ProtocolViolation } from '../runner/frame.ts';
import type { InvocationStream, ResponseSink } from '../runner/invocation-stream.ts';
import type { RawHeaders } from '../runner/payload-reader.ts';
import type { RequestHead } from '../runner/request-frame.ts';
import { isConnectionField, type Done } from '../runner/response-frames.ts';
import { HttpAnswer } from './http-answer.ts';
import type { Invocation } from './invocation.ts';
import { RequestBody } from './request-body.ts';

/** What all exchanges have in common. */
export type ExchangeDeps = {
  /** Writes what a function wrote to stdout or stderr. */
  functionLog: (invocation: Invocation, source: 'stdout' | 'stderr', bytes: Buffer) => void;
  /** Told of what was read of request bodies. */
  bodyRead: (bytes: number) => void;
};

/** The worker and its supervisor enforce the wall clock themselves; after this the dispatcher does not wait for them any longer. */
const WALL_GRACE_MS = 150;
/** What is left to the supervisor to kill the worker before the whole sandbox is killed. */
const KILL_GRACE_MS = 250;
/** What a worker may write to the log beside what it is limited to: that there was more. */
const LOG_NOTICE_BYTES = 1024;
/** By which an honest worker's account may exceed a limit: it is found to be reached a little later. */
const ACCOUNT_SLACK_US = 1_000_000;
/** Methods that may be repeated (RFC 9110 §9.2.2), where there is no body that is gone. */
const REPEATABLE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/**
 * Step 4: sends the request to the lent lane and streams the answer back, nothing buffered whole.
 *
 * Resolves with `answered` when the invocation is over, whatever became of it: failures of the function are answered here. Resolves with `again` when
 * the runner died before anything was answered and the request may be sent once more.
 *
 * @throws {InvocationError} when the request cannot be sent at all.
 */
export function exchange(
  deps: ExchangeDeps,
  invocation: Invocation,
  lease: Lease,
  pathWithQuery: string,
): Promise<'answered' | 'again'> {
  return new Promise((resolve, reject) => {
    new Exchange(deps, invocation, lease, resolve).start(pathWithQuery, reject);
  });
}

class Exchange implements ResponseSink {
  readonly #deps: ExchangeDeps;
  readonly #limits: Limits;
  readonly #invocation: Invocation;
  readonly #lease: Lease;
  readonly #resolve: (result: 'answered' | 'again') => void;
  readonly #answer: HttpAnswer;
  #body: RequestBody | undefined;
  #stream: InvocationStream | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Why it failed, when that was found on this side. */
  #failure: InvocationError | undefined;
  #settled = false;
  #logBytes = 0;

  constructor(
    deps: ExchangeDeps,
    invocation: Invocation,
    lease: Lease,
    resolve: (result: 'answered' | 'again') => void,
  ) {
    this.#deps = deps;
    this.#limits = invocation.artifact!.policy.limits;
    this.#invocation = invocation;
    this.#lease = lease;
    this.#resolve = resolve;
    this.#answer = new HttpAnswer(invocation, (bytes) => this.#stream?.consumed(bytes));
  }

  get origin(): CallOrigin {
    const { requestId, caller, request } = this.#invocation;
    return {
      requestId,
      rootRequestId: caller?.rootRequestId ?? requestId,
      depth: caller?.depth ?? 0,
      traceContext: readTraceContext(request.headers),
      // Not counted as the function's own: it has not written it.
      note: (text) => this.#deps.functionLog(this.#invocation, 'stderr', Buffer.from(text)),
    };
  }

  start(pathWithQuery: string, reject: (error: Error) => void): void {
    const { request } = this.#invocation;
    this.#invocation.attempts++;
    const length = Number(request.headers['content-length'] ?? 0);
    if (length > this.#limits.maxRequestBodyBytes) return reject(this.#bodyTooLarge());
    if (this.#invocation.clientGone) return reject(new InvocationError('client_gone', 'The client went away.'));
    this.#lease.used = true;
    this.#invocation.runner = this.#lease.bound.runner.id;
    this.#stream = this.#lease.lane.open(requestHead(request, pathWithQuery), this);
    this.#invocation.underWay = this.#stream;
    this.#timer = setTimeout(() => this.#wallExceeded(), this.#limits.wallMs + WALL_GRACE_MS);
    if (hasBody(request)) {
      this.#body = new RequestBody(request, this.#stream, this.#limits.maxRequestBodyBytes, {
        tooLarge: () => this.#fail(this.#bodyTooLarge()),
        passed: (bytes) => {
          this.#invocation.requestBytes += bytes;
          this.#deps.bodyRead(bytes);
        },
      });
    } else this.#stream.sendEnd([]);
  }

  response(head: { status: number; headers: RawHeaders }): void {
    // Refused before anything is passed on, the caller gets a whole answer rather than half of one.
    if (declaredBytes(head.headers) > this.#limits.maxResponseBodyBytes && this.#invocation.request.method !== 'HEAD') {
      return this.#fail(this.#answerTooLarge());
    }
    this.#answer.head(head);
  }

  body(chunk: Buffer): void {
    if (this.#invocation.responseBytes + chunk.length > this.#limits.maxResponseBodyBytes) {
      return this.#fail(this.#answerTooLarge());
    }
    this.#answer.body(chunk);
  }

  end(trailers: RawHeaders): void {
    this.#answer.end(trailers);
  }

  writable(): void {
    this.#body?.resume();
  }

  log(source: 'stdout' | 'stderr', bytes: Buffer): void {
    this.#logBytes += bytes.length;
    if (this.#logBytes > this.#limits.logBytes + LOG_NOTICE_BYTES) throw new ProtocolViolation('LOG beyond the limit');
    this.#deps.functionLog(this.#invocation, source, bytes);
  }

  flush(): void {
    if (this.#failure === undefined) this.#answer.flush();
  }

  done(done: Done): void {
    this.#invocation.done = withinLimits(done, this.#limits);
    this.#invocation.loadUs = this.#lease.bound.takeLoadUs();
    if (this.#settled) return;
    const failure = this.#failure ?? failureOf(done);
    // Cutting the connection for a failure of this side looks like a client that went away, and is none.
    const left = this.#failure === undefined && done.outcome === 'cancelled' && this.#invocation.clientGone;
    if (failure === undefined) this.#answer.complete(done);
    else if (left) this.#invocation.outcome = 'client_gone';
    else this.#answer.fail(failure);
    this.#finish('answered');
  }

  lost(reason: string): void {
    if (this.#settled) return;
    const { request, clientGone, attempts } = this.#invocation;
    this.#invocation.detail = reason;
    const repeatable = !this.#answer.started && this.#failure === undefined && !clientGone && attempts === 1;
    if (repeatable && !hasBody(request) && REPEATABLE.has(request.method!)) return this.#finish('again');
    const refusal = this.#lease.bound.refusal;
    const crash = new InvocationError('runner_crashed', 'The process that served the request died.', {
      cause: new Error(reason),
    });
    this.#answer.fail(this.#failure ?? refusal ?? crash);
    this.#finish('answered');
  }

  /** Answers with a failure that was found on this side; the lane is in use until the worker has confirmed. */
  #fail(failure: InvocationError): void {
    if (this.#failure !== undefined || this.#settled) return;
    this.#failure = failure;
    this.#answer.fail(failure);
    this.#stream?.cancel();
  }

  #wallExceeded(): void {
    const { lane, bound } = this.#lease;
    this.#fail(new InvocationError('wall_exceeded', `The function did not answer within ${this.#limits.wallMs} ms.`));
    bound.runner.killWorker(lane);
    this.#timer = setTimeout(() => bound.runner.fail(new Error('a worker was not killed in time')), KILL_GRACE_MS);
  }

  #bodyTooLarge(): InvocationError {
    return new InvocationError(
      'body_too_large',
      `The request's body has more than ${this.#limits.maxRequestBodyBytes} bytes.`,
    );
  }

  #answerTooLarge(): InvocationError {
    const detail = `The function's answer has more than ${this.#limits.maxResponseBodyBytes} bytes.`;
    return new InvocationError('response_too_large', detail);
  }

  #finish(result: 'answered' | 'again'): void {
    this.#settled = true;
    this.#invocation.egressBytes += this.#stream?.caller?.bytes ?? 0;
    clearTimeout(this.#timer);
    this.#body?.stop();
    this.#invocation.underWay = undefined;
    this.#resolve(result);
  }
}

/** What a worker says of itself, as far as it can be true: nobody's account grows beyond what one invocation may use. */
function withinLimits(done: Done, { fuel, cpuMs, wallMs, memoryBytes }: Limits): Done {
  return {
    ...done,
    fuel: Math.min(done.fuel, fuel),
    guestCpuUs: Math.min(done.guestCpuUs, cpuMs * 1000 + ACCOUNT_SLACK_US),
    wallUs: Math.min(done.wallUs, wallMs * 1000 + ACCOUNT_SLACK_US),
    peakMemoryBytes: Math.min(done.peakMemoryBytes, memoryBytes),
  };
}

function failureOf(done: Done): InvocationError | undefined {
  if (done.outcome === 'ok') return undefined;
  if (done.outcome === 'cancelled') return new InvocationError('client_gone', 'The client went away.');
  return new InvocationError(done.outcome, publicDetail(done), {
    reason: done.outcome === 'trap' ? trapKind(done.detail) : undefined,
  });
}

/** The platform's own failures are not explained to the caller; a function's are its owner's business. */
function publicDetail(done: Done): string {
  if (done.outcome === 'internal') return 'The platform failed.';
  return done.detail === '' ? 'The function failed.' : firstLine(done.detail);
}

function trapKind(detail: string): string {
  return /^[\w -]{1,64}/.exec(detail)?.[0] ?? 'unknown';
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0]!.slice(0, 500);
}

function hasBody(request: IncomingMessage): boolean {
  const { headers } = request;
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}

/** What `content-length` says, 0 without one. */
function declaredBytes(headers: RawHeaders): number {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]!.length === 14 && headers[i]!.toLowerCase() === 'content-length') return Number(headers[i + 1]);
  }
  return 0;
}

function requestHead(request: IncomingMessage, pathWithQuery: string): RequestHead {
  const { rawHeaders, headers } = request;
  let fields = rawHeaders;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (!isConnectionField(rawHeaders[i]!)) continue;
    fields = rawHeaders.filter((_, at) => !isConnectionField(rawHeaders[at - (at % 2)]!));
    break;
  }
  const { localAddress, localPort, remoteAddress } = request.socket;
  return {
    method: request.method!,
    scheme: 'http',
    // HTTP/1.0 needs no Host.
    authority: headers.host || `${localAddress}:${localPort}`,
    pathWithQuery,
    remoteAddress: remoteAddress ?? '',
    headers: fields,
  };
}
