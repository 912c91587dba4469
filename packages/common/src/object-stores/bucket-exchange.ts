import { setTimeout as sleep } from 'node:timers/promises';
import { canonicalQuery, type Pairs } from '../sigv4/canonical-request.ts';
import type { PreparedBody } from './prepared-body.ts';
import { ObjectStoreError } from '../object-store-error.ts';
import type { Authorizer } from './authorizer.ts';
import { locate, type BucketLocation, type RequestTarget } from './bucket-location.ts';
import type { CircuitBreaker } from './circuit-breaker.ts';
import { findCorrection } from './correction.ts';
import type { HttpAnswer, HttpTransport } from './http-transport.ts';
import type { RetryPolicy } from './retry-policy.ts';
import { faultError, isTransient, readFault, type StoreFault } from './store-fault.ts';

/** A request to a bucket. */
export type BucketRequest = {
  method: 'GET' | 'HEAD' | 'PUT' | 'DELETE';
  /** The whole key, or the empty one for the bucket itself. */
  key: string;
  query?: Pairs;
  headers?: Pairs;
  body?: PreparedBody;
  /** SHA-256 of the body in hex. */
  payloadHash: string;
  signal?: AbortSignal | undefined;
  /** As {@link HttpRequest} has it. */
  lentChunks?: boolean | undefined;
  /** For messages: `reading a.cwasm`. */
  what: string;
};

/** What came of it: a success, whose body must be consumed or destroyed, or a fault that trying again does not mend. */
export type BucketAnswer = {
  answer: HttpAnswer;
  fault?: StoreFault;
  /** Whether an earlier attempt may have had its effect without our learning of it. */
  uncertain: boolean;
};

/** Makes requests until they are answered for good. @throws {ObjectStoreError} `unavailable`, and what credentials throw */
export type BucketExchange = (request: BucketRequest) => Promise<BucketAnswer>;

/** What an exchange is made of. Clocks, randomness and pauses are arguments, so that tests wait for nothing. */
export type ExchangeDeps = {
  description: string;
  location: BucketLocation;
  authorizer: Authorizer;
  transport: HttpTransport;
  retries: RetryPolicy;
  breaker: CircuitBreaker;
  /** Milliseconds since 1970: signatures hold the time. */
  timeMs: () => number;
  pause?: (ms: number, signal: AbortSignal | undefined) => Promise<unknown>;
};

/** An exchange that learns: the region, the clock's error and the endpoint that it was corrected to stay. */
export function createBucketExchange(deps: ExchangeDeps): BucketExchange {
  const { authorizer, breaker, description, retries, transport } = deps;
  const pause = deps.pause ?? ((ms, signal) => sleep(ms, undefined, { signal }));
  let location = deps.location;
  let skewMs = 0;

  const sendOnce = async (
    request: BucketRequest,
    target: RequestTarget,
    query: Pairs,
  ): Promise<BucketAnswer & { renew: () => void }> => {
    const signable = {
      method: request.method,
      host: target.host,
      path: target.path,
      query,
      headers: request.headers ?? [],
    };
    const { headers, renew } = await authorizer.authorize(signable, request.payloadHash, {
      region: location.region,
      timeMs: deps.timeMs() + skewMs,
      signal: request.signal,
    });
    const queryText = canonicalQuery(query);
    const answer = await transport.send({
      method: request.method,
      origin: target.origin,
      path: queryText === '' ? target.path : `${target.path}?${queryText}`,
      headers: withLength(headers, request.body),
      body: request.body,
      signal: request.signal,
      lentChunks: request.lentChunks,
    });
    const success = (answer.status >= 200 && answer.status < 300) || answer.status === 304;
    if (success) return { answer, renew, uncertain: false };
    return { answer, renew, uncertain: false, fault: await readFault(answer, deps.timeMs()) };
  };

  /** One attempt; what the server says about us, instead of about the object, is mended once each. */
  const sendCorrected = async (request: BucketRequest): Promise<BucketAnswer> => {
    const mended = new Set<string>();
    let elsewhere: { target: RequestTarget; query: Pairs } | undefined;
    for (;;) {
      const target = elsewhere?.target ?? locate(location, request.key);
      const result = await sendOnce(request, target, elsewhere?.query ?? request.query ?? []);
      if (result.fault === undefined) return result;
      const correction = findCorrection(result.fault, {
        origin: target.origin,
        region: location.region,
        nowMs: deps.timeMs(),
        skewMs,
        mayFollow: !authorizer.transferable,
      });
      if (correction === undefined || mended.has(correction.kind)) return result;
      mended.add(correction.kind);
      if (correction.kind === 'region') location = { ...location, region: correction.region };
      else if (correction.kind === 'clock') skewMs = correction.skewMs;
      else if (correction.kind === 'redirect') elsewhere = correction;
      else result.renew();
    }
  };

  return async (request) => {
    for (let attempt = 1, uncertain = false; ; attempt++) {
      request.signal?.throwIfAborted();
      const waitMs = breaker.waitMs();
      if (waitMs > 0) {
        const message = `${description} has failed repeatedly and is not asked for the moment`;
        throw new ObjectStoreError('unavailable', message, { retryAfterMs: Math.ceil(waitMs) });
      }
      let failure: ObjectStoreError;
      try {
        const result = await sendCorrected(request);
        if (result.fault === undefined || !isTransient(result.fault)) {
          breaker.succeeded();
          retries.succeeded();
          return { ...result, uncertain };
        }
        failure = faultError(result.fault, `${request.what} of ${description}`);
        // A conflict is two writers at once: the server is well.
        if (result.fault.status === 409) breaker.succeeded();
        else breaker.failed();
        uncertain ||= result.fault.status !== 409;
      } catch (error) {
        if (!(error instanceof ObjectStoreError) || error.code !== 'unavailable') {
          breaker.abandoned();
          throw error;
        }
        breaker.failed();
        uncertain = true;
        failure = error;
      }
      const pauseMs = retries.pauseMs(attempt, failure.retryAfterMs);
      if (pauseMs === undefined) throw failure;
      try {
        await pause(pauseMs, request.signal);
      } catch (error) {
        throw request.signal?.aborted ? request.signal.reason : error;
      }
    }
  };
}

/** A file's length is not known from a stream of it; chunked uploads are refused by some servers. */
function withLength(headers: Pairs, body: PreparedBody | undefined): Pairs {
  return body === undefined || body instanceof Uint8Array ? headers : [...headers, ['content-length', `${body.bytes}`]];
}
