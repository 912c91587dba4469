import { createClientAddress } from '../../packages/dispatcher/src/admission/client-address.ts';
import { resolveRoute } from '../../packages/dispatcher/src/lifecycle/resolve-route.ts';
import { InvocationError } from '../../packages/dispatcher/src/outcome/invocation-error.ts';
import type { IncomingMessage } from 'node:http';
import type { FuzzTarget } from '../fuzz-target.ts';

const clientAddress = createClientAddress('loopback');

/** The URL of a request, and the field that proxies add. */
export const REQUEST_TARGET: FuzzTarget = {
  name: 'request targets',
  seeds: () =>
    [
      'hello.cwasm/rest?a=1',
      'acme/resize.cwasm',
      'hello',
      'a%2fb.cwasm',
      '%c3%a9.cwasm',
      '..%00/x',
      '1.2.3.4, ::1, fe80::1%eth0',
    ].map((text) => Buffer.from(text)),
  read: (input) => {
    const text = input.toString('latin1');
    clientAddress({
      socket: { remoteAddress: '127.0.0.1' },
      headers: { 'x-forwarded-for': text },
    } as unknown as IncomingMessage);
    const { name, pathWithQuery } = resolveRoute(`/invoke/${text}`);
    // What comes out becomes a file's name and a header's value.
    const isSafe =
      name.split('/').every((segment) => segment !== '' && !segment.startsWith('.')) && !name.includes('\0');
    if (!isSafe || !pathWithQuery.startsWith('/'))
      throw new Error(`it became ${JSON.stringify({ name, pathWithQuery })}`);
  },
  isRefusal: (error) => error instanceof InvocationError,
};
