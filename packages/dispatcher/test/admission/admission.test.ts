import { expect, test } from 'vitest';
import { createAdmission } from '../../src/admission/admission.ts';
import { createRateLimiter } from '../../src/admission/rate-limiter.ts';
import type { Invocation } from '../../src/lifecycle/invocation.ts';

const open = (
  more: { maxInFlight?: number; clientRequestsPerSecond?: number } = {},
): ReturnType<typeof createAdmission> =>
  createAdmission({
    maxInFlight: 10,
    clientRequestsPerSecond: 0,
    ...more,
    clientAddress: () => '203.0.113.5',
    clients: createRateLimiter({ maxKeys: 10, nowMs: () => 0 }),
    functions: createRateLimiter({ maxKeys: 10, nowMs: () => 0 }),
  });
const invocation = (functionName: string, requestsPerSecond = 1000): Invocation =>
  ({ functionName, admitted: false, artifact: { policy: { limits: { requestsPerSecond } } } }) as unknown as Invocation;

test('a function that fills the house does not keep others out', () => {
  const admission = open();
  const flood = Array.from({ length: 10 }, () => invocation('flood'));
  for (const each of flood) admission.enter(each);
  expect(() => admission.enter(invocation('flood'))).toThrow(
    expect.objectContaining({ code: 'queue_full', reason: 'server', retryAfterS: 1 }),
  );
  for (let count = 0; count < 5; count++) admission.enter(invocation('quiet'));
  expect(() => admission.enter(invocation('quiet'))).toThrow('its share');
  admission.leave(flood[0]!);
  expect(() => admission.enter(invocation('flood'))).toThrow('its share');
});

test('who was refused does not count', () => {
  const admission = open({ maxInFlight: 1 });
  const first = invocation('f');
  admission.enter(first);
  const refused = invocation('f');
  expect(() => admission.enter(refused)).toThrow('share');
  admission.leave(refused);
  admission.leave(first);
  admission.enter(invocation('f'));
});

test('a client and a function have rates of their own', () => {
  const admission = open({ clientRequestsPerSecond: 1 });
  admission.enter(invocation('f'));
  admission.enter(invocation('g'));
  expect(() => admission.enter(invocation('h'))).toThrow(
    expect.objectContaining({ code: 'rate_limited', reason: 'client', retryAfterS: 1 }),
  );
  const rated = invocation('f', 1);
  admission.checkFunction(rated);
  admission.checkFunction(rated);
  expect(() => admission.checkFunction(rated)).toThrow(
    expect.objectContaining({ code: 'rate_limited', reason: 'function', retryAfterS: 1 }),
  );
});
