import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';

/** To which trace a request belongs (https://www.w3.org/TR/trace-context/): what its two fields hold. */
export type TraceContext = { traceparent: string; tracestate: string | undefined };

/** Version, trace, span, flags (§3.2); a later version than 00 may have more. A trace or span of zeros is none. */
const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** The context of a request; `undefined` where it has none, or none that is valid. */
export function readTraceContext(headers: IncomingHttpHeaders): TraceContext | undefined {
  const { traceparent, tracestate } = headers;
  if (typeof traceparent !== 'string') return undefined;
  const match = TRACEPARENT.exec(traceparent);
  if (match === null || (match[1] === '00' && match[5] !== undefined)) return undefined;
  return { traceparent, tracestate: typeof tracestate === 'string' ? tracestate : undefined };
}

/** The number that all requests of a trace have in common. */
export function traceIdOf({ traceparent }: TraceContext): string {
  return traceparent.slice(3, 35);
}

/**
 * Puts a request that has no valid context of its own into that of the request that has led to it. A `tracestate` that stands alone says nothing
 * and is taken away (§4.3).
 */
export function continueTrace(request: IncomingMessage, context: TraceContext | undefined): void {
  const { headers, rawHeaders } = request;
  if (context === undefined || readTraceContext(headers) !== undefined) return;
  for (let at = rawHeaders.length - 2; at >= 0; at -= 2) {
    if (/^trace(?:parent|state)$/i.test(rawHeaders[at]!)) rawHeaders.splice(at, 2);
  }
  delete headers.tracestate;
  for (const name of ['traceparent', 'tracestate'] as const) {
    const value = context[name];
    if (value === undefined) continue;
    rawHeaders.push(name, value);
    headers[name] = value;
  }
}
