import { describeProblem } from '../outcome/problem.ts';
import type { InvocationError } from '../outcome/invocation-error.ts';
import { OUTCOMES } from '../outcome/registry.ts';
import type { Invocation } from './invocation.ts';

/**
 * Ends an invocation that failed: with a problem answer when nothing was sent yet, else by cutting the connection, so that the client does
 * not take half an answer for a whole one.
 */
export function sendProblem(invocation: Invocation, error: InvocationError): void {
  const { response, requestId } = invocation;
  invocation.outcome = invocation.clientGone ? 'client_gone' : error.code;
  invocation.reason = error.reason;
  invocation.detail = error.message;
  invocation.error = error.cause;
  if (invocation.clientGone || response.destroyed) return;
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const problem = describeProblem(error, requestId);
  const body = Buffer.from(`${JSON.stringify(problem)}\n`);
  const headers = [
    'content-type',
    'application/problem+json',
    'content-length',
    String(body.length),
    'cache-control',
    'no-store',
    'x-playa-request-id',
    requestId,
    'x-playa-outcome',
    error.code,
  ];
  if (invocation.artifact !== undefined) headers.push('x-playa-version', invocation.artifact.version);
  if (invocation.done !== undefined) headers.push('x-playa-fuel', String(invocation.done.fuel));
  if (error.retryAfterS !== undefined) headers.push('retry-after', String(error.retryAfterS));
  response.writeHead(OUTCOMES[error.code].status || 500, headers);
  response.end(body);
}
