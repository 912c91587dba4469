import type { Admission } from '../admission/admission.ts';
import type { ArtifactCatalog } from '../artifacts/artifact-catalog.ts';
import type { Artifact } from '../artifacts/artifact.ts';
import { InvocationError } from '../outcome/invocation-error.ts';
import { EVICTED } from '../pool/bound-runner.ts';
import type { Lease, PendingLease } from '../pool/function-runners.ts';
import type { RunnerLender } from '../pool/runner-lender.ts';
import { exchange, type ExchangeDeps } from './exchange.ts';
import type { Invocation } from './invocation.ts';
import { resolveRoute } from './resolve-route.ts';
import { sendProblem } from './send-problem.ts';

/** What the way of a request needs. */
export type RequestDeps = ExchangeDeps & {
  admission: Admission;
  artifacts: ArtifactCatalog;
  lender: RunnerLender;
  nowMs: () => number;
  /** Takes the account of every invocation, once. */
  settle: (invocation: Invocation) => void;
  /** Whether the server is about to stop. */
  draining: () => boolean;
};

const AUTHORITY = /^(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?$/;
/** How long a client may go on sending a body that nobody reads any more. */
const UNREAD_BODY_MS = 5_000;

/**
 * The way of a request in five steps, each with its own errors (docs/lifecycle.md):
 * route, resolve, lend, exchange, settle. Never rejects.
 */
export async function handleRequest(deps: RequestDeps, invocation: Invocation): Promise<void> {
  let lease: Lease | undefined;
  try {
    if (deps.draining()) throw new InvocationError('draining', 'The server is about to stop.', { retryAfterS: 1 });
    const route = resolveRoute(invocation.request.url!);
    invocation.functionName = route.name;
    checkAuthority(invocation);
    deps.admission.enter(invocation);
    invocation.routedMs = deps.nowMs();

    for (;;) {
      const { artifact, tier, stale } = await deps.artifacts.resolve(route.name);
      invocation.artifact = artifact;
      invocation.tier = tier;
      invocation.stale = stale;
      invocation.resolvedMs = deps.nowMs();
      if (invocation.attempts === 0) deps.admission.checkFunction(invocation);

      const lent = deps.lender.lend(artifact);
      // Mostly a lane is free, and nothing has to be waited for.
      lease = 'leave' in lent ? await waitForLease(deps, lent, invocation, artifact) : lent;
      if (lease === undefined) continue;
      invocation.lentMs = deps.nowMs();

      const result = await exchange(deps, invocation, lease, route.pathWithQuery);
      if (result !== 'again') break;
      // Its runner died before it had answered, and the request may be repeated.
      lease.giveBack();
      lease = undefined;
    }
  } catch (error) {
    sendProblem(invocation, asInvocationError(error));
  }
  // What the supervisor saw of the worker belongs to the account where the worker was for this request alone.
  if (lease?.used === true && lease.bound.requestsPerWorker === 1) {
    invocation.endedWorker = await lease.bound.workerEnded(lease.lane, lease.end);
  }
  lease?.giveBack();
  if (!invocation.request.complete) endUnreadBody(invocation);
  deps.admission.leave(invocation);
  deps.settle(invocation);
}

/**
 * A client that is answered before it has sent its whole body may go on sending for a while: were the connection closed at once, the reset
 * could destroy the answer before the client has read it (RFC 9112 §9.6).
 */
function endUnreadBody({ request }: Invocation): void {
  request.resume();
  setTimeout(() => {
    if (!request.complete) request.socket.destroy();
  }, UNREAD_BODY_MS).unref();
}

/** What the function gets as its authority must be one (RFC 3986 §3.2); Node lets nearly anything through. */
function checkAuthority({ request }: Invocation): void {
  const { host } = request.headers;
  if (host === undefined || host === '' || AUTHORITY.test(host)) return;
  throw new InvocationError('request_invalid', 'The Host field is not a host with an optional port.');
}

/** Resolves with `undefined` when the version has left the disk meanwhile and must be resolved again. */
async function waitForLease(
  deps: RequestDeps,
  pending: PendingLease,
  invocation: Invocation,
  artifact: Artifact,
): Promise<Lease | undefined> {
  const leave = (): void => pending.leave(new InvocationError('client_gone', 'The client went away while it waited.'));
  invocation.underWay = { cancel: leave };
  if (invocation.clientGone) leave();
  try {
    return await pending.lease;
  } catch (error) {
    if (!(error instanceof InvocationError) || error.reason !== EVICTED) throw error;
    deps.artifacts.evicted(artifact);
    return undefined;
  } finally {
    invocation.underWay = undefined;
  }
}

function asInvocationError(error: unknown): InvocationError {
  if (error instanceof InvocationError) return error;
  return new InvocationError('internal', 'The platform failed.', { cause: error });
}
