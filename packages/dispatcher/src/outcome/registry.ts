/** Who is to blame for an outcome: decides what is logged as an error and what a retry can mend. */
export type Blame = 'nobody' | 'caller' | 'function' | 'platform';

/** What is known of one outcome. `status` is the HTTP status of its problem answer; 0 where none is sent. */
export type Outcome = { status: number; blame: Blame; retryable: boolean; title: string; remedy: string };

/** Every way in which an invocation can end. Codes are part of the interface: none is renamed or used again. */
export const OUTCOMES = {
  ok: {
    status: 0,
    blame: 'nobody',
    retryable: false,
    title: 'The function answered',
    remedy: "Nothing to do; the status is the function's own.",
  },
  function_not_found: {
    status: 404,
    blame: 'caller',
    retryable: false,
    title: 'There is no function of this name',
    remedy: 'Check the name, or put NAME.cwasm into the bucket.',
  },
  name_invalid: {
    status: 400,
    blame: 'caller',
    retryable: false,
    title: 'This is not the name of a function',
    remedy: 'Use segments of visible characters that are not empty and do not begin with a dot.',
  },
  artifact_refused: {
    status: 422,
    blame: 'function',
    retryable: false,
    title: "The function's artifact cannot be loaded",
    remedy: 'Build it again with build-cwasm of this version and with a key that the server trusts.',
  },
  fuel_exhausted: {
    status: 504,
    blame: 'function',
    retryable: false,
    title: 'The function used up its fuel',
    remedy: 'Compute less in one request, or raise the fuel limit.',
  },
  wall_exceeded: {
    status: 504,
    blame: 'function',
    retryable: false,
    title: 'The function took too long',
    remedy: 'Answer sooner, or raise the wall-clock limit.',
  },
  cpu_exceeded: {
    status: 504,
    blame: 'function',
    retryable: false,
    title: 'The function used up its processor time',
    remedy: 'Compute less in one request, or raise the limit of processor time.',
  },
  memory_exceeded: {
    status: 507,
    blame: 'function',
    retryable: false,
    title: 'The function needs more memory than it may have',
    remedy: 'Keep less in memory, or raise the memory limit.',
  },
  resource_exceeded: {
    status: 507,
    blame: 'function',
    retryable: false,
    title: 'The function has more instances, tables or handles than it may have, or moves too much data in one call',
    remedy: 'Keep less open, split large calls, or raise the limit that the detail names.',
  },
  stack_overflow: {
    status: 502,
    blame: 'function',
    retryable: false,
    title: "The function's calls nest too deeply",
    remedy: 'Recurse less deeply.',
  },
  trap: {
    status: 502,
    blame: 'function',
    retryable: false,
    title: 'The function crashed',
    remedy: "See the function's log for the kind of trap.",
  },
  no_response: {
    status: 502,
    blame: 'function',
    retryable: false,
    title: 'The function ended without an answer',
    remedy: 'Answer every request.',
  },
  response_invalid: {
    status: 502,
    blame: 'function',
    retryable: false,
    title: "The function's answer is not valid HTTP",
    remedy: 'Check status, header fields and content-length of the answer.',
  },
  header_too_large: {
    status: 502,
    blame: 'function',
    retryable: false,
    title: "The header of the function's answer is too large",
    remedy: 'Answer with fewer or shorter header fields.',
  },
  response_too_large: {
    status: 502,
    blame: 'function',
    retryable: false,
    title: "The function's answer is too large",
    remedy: 'Answer with less, or raise the limit of response bodies.',
  },
  request_invalid: {
    status: 400,
    blame: 'caller',
    retryable: false,
    title: 'The request is not valid HTTP',
    remedy: 'Check the request line, the header fields and the length of the body.',
  },
  request_header_too_large: {
    status: 431,
    blame: 'caller',
    retryable: false,
    title: 'The header of the request is too large',
    remedy: 'Send fewer or shorter header fields.',
  },
  request_timeout: {
    status: 408,
    blame: 'caller',
    retryable: true,
    title: 'The header of the request did not arrive in time',
    remedy: 'Send the header at once.',
  },
  body_too_large: {
    status: 413,
    blame: 'caller',
    retryable: false,
    title: 'The body of the request is too large',
    remedy: 'Send less, or raise the limit of request bodies.',
  },
  client_gone: {
    status: 0,
    blame: 'caller',
    retryable: false,
    title: 'The client went away before the answer was complete',
    remedy: 'Nothing to do.',
  },
  rate_limited: {
    status: 429,
    blame: 'caller',
    retryable: true,
    title: 'Too many requests in a short time',
    remedy: 'Try again after the time in Retry-After; the reason says whose requests are counted.',
  },
  queue_full: {
    status: 503,
    blame: 'platform',
    retryable: true,
    title: 'Too many requests are waiting for this function, or under way in all',
    remedy: 'Try again after the time in Retry-After.',
  },
  memory_short: {
    status: 503,
    blame: 'platform',
    retryable: true,
    title: 'The server has no memory for another sandbox',
    remedy: 'Try again after the time in Retry-After.',
  },
  runner_crashed: {
    status: 502,
    blame: 'platform',
    retryable: true,
    title: 'The process that served the request died',
    remedy: 'Try again.',
  },
  sandbox_failed: {
    status: 503,
    blame: 'platform',
    retryable: true,
    title: 'No sandbox could be started',
    remedy: "The server's log and /readyz name the reason.",
  },
  bucket_unavailable: {
    status: 502,
    blame: 'platform',
    retryable: true,
    title: 'The bucket does not answer and nothing is cached',
    remedy: 'Try again.',
  },
  compiling: {
    status: 503,
    blame: 'nobody',
    retryable: true,
    title: 'The function is being compiled',
    remedy: 'Try again after the time in Retry-After; put NAME.cwasm into the bucket to compile before it is needed.',
  },
  disk_unavailable: {
    status: 503,
    blame: 'platform',
    retryable: true,
    title: "The server's disk cannot take the function",
    remedy: "Make room where the state folder is; the server's log names the reason. Functions that are on it go on.",
  },
  draining: {
    status: 503,
    blame: 'platform',
    retryable: true,
    title: 'The server is about to stop',
    remedy: 'Try again; another server will answer.',
  },
  internal: {
    status: 500,
    blame: 'platform',
    retryable: true,
    title: 'The platform failed',
    remedy: "The server's log has the reason under the request id.",
  },
} as const satisfies Record<string, Outcome>;

export type OutcomeCode = keyof typeof OUTCOMES;

const NAMED_BY_WORKERS = [
  'ok',
  'fuel_exhausted',
  'cpu_exceeded',
  'wall_exceeded',
  'memory_exceeded',
  'resource_exceeded',
  'stack_overflow',
  'trap',
  'no_response',
  'response_invalid',
  'header_too_large',
  'cancelled',
  'internal',
] as const satisfies (OutcomeCode | 'cancelled')[];

/** What a worker may say in DONE. */
export type WorkerOutcome = (typeof NAMED_BY_WORKERS)[number];

/** All outcomes that a worker may name. */
export const WORKER_OUTCOMES: ReadonlySet<string> = new Set(NAMED_BY_WORKERS);
