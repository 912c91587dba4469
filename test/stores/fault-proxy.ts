import { createServer, request as forwardRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the proxy does with a request instead of passing it on as it is. */
export type Fault =
  | { kind: 'answer'; status: number; headers?: Record<string, string>; body?: string }
  /** Never answers. */
  | { kind: 'silence' }
  /** Closes the connection, before the server has seen the request or after it has acted on it. */
  | { kind: 'reset'; after?: 'nothing' | 'the answer' }
  /** Passes this many bytes of the answer's body on, then closes, says nothing more, or goes on with bytes that nobody sent. */
  | { kind: 'body'; bytes: number; afterwards: 'close' | 'stall' | 'garbage' }
  /** Changes one byte of the answer's body, which is as long as it was; a negative place counts from its end. */
  | { kind: 'flip'; at: number }
  /** Changes a header of the request. */
  | { kind: 'rewrite'; header: string; value: string }
  /** Changes headers of the answer; undefined drops one. */
  | { kind: 'amend'; headers: Record<string, string | undefined> };

/** A request as it came to the proxy. */
export type SeenRequest = { method: string; url: string; headers: IncomingMessage['headers'] };

/** An HTTP proxy that passes requests on byte by byte, but for the faults it has been given. */
export type FaultProxy = {
  url: string;
  port: number;
  /** Every request since the last `reset`. */
  seen: SeenRequest[];
  /** What to do with the next requests, one each; undefined passes one on. */
  next: (...faults: (Fault | undefined)[]) => void;
  /** What to do with all requests after those; undefined passes them on. */
  always: (fault: Fault | undefined) => void;
  /** Which requests faults are for, by their paths; undefined: all. The others are passed on. */
  aimAt: (path: RegExp | undefined) => void;
  /** Forgets faults and what was seen. */
  reset: () => void;
  close: () => Promise<void>;
};

/** Starts a proxy in front of a server on this machine. */
export async function startFaultProxy(targetPort: number): Promise<FaultProxy> {
  let planned: (Fault | undefined)[] = [];
  let standing: Fault | undefined;
  let chosen: RegExp | undefined;
  const seen: SeenRequest[] = [];
  const server = createServer((request, response) => {
    seen.push({ method: request.method!, url: request.url!, headers: request.headers });
    const isChosen = chosen?.test(request.url!) ?? true;
    const fault = !isChosen ? undefined : planned.length > 0 ? planned.shift() : standing;
    request.on('error', () => {});
    handle(request, response, targetPort, fault);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    seen,
    next: (...faults) => planned.push(...faults),
    always: (fault) => (standing = fault),
    aimAt: (path) => (chosen = path),
    reset: () => {
      planned = [];
      standing = undefined;
      chosen = undefined;
      seen.length = 0;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function handle(request: IncomingMessage, response: ServerResponse, port: number, fault: Fault | undefined): void {
  if (fault?.kind === 'silence') return;
  if (fault?.kind === 'reset' && fault.after !== 'the answer') return void request.socket.destroy();
  if (fault?.kind === 'answer') {
    request.resume();
    const { status, headers = {}, body = '' } = fault;
    // HEAD is answered with the length of what GET would give.
    response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers });
    return void response.end(request.method === 'HEAD' ? undefined : body);
  }
  const headers = [...request.rawHeaders];
  if (fault?.kind === 'rewrite') {
    const index = headers.findIndex((name, at) => at % 2 === 0 && name.toLowerCase() === fault.header);
    if (index === -1) headers.push(fault.header, fault.value);
    else headers[index + 1] = fault.value;
  }
  const forwarded = forwardRequest(
    { host: '127.0.0.1', port, method: request.method, path: request.url, headers, setHost: false },
    (answer) => passBack(answer, request, response, fault),
  );
  forwarded.on('error', () => request.socket.destroy());
  request.pipe(forwarded);
}

function passBack(answer: IncomingMessage, request: IncomingMessage, response: ServerResponse, fault?: Fault): void {
  answer.on('error', () => response.destroy());
  if (fault?.kind === 'reset') return void request.socket.destroy();
  const amended = fault?.kind === 'amend' ? { ...answer.headers, ...fault.headers } : undefined;
  if (amended !== undefined) {
    response.writeHead(answer.statusCode!, Object.fromEntries(Object.entries(amended).filter(([, value]) => value)));
  } else response.writeHead(answer.statusCode!, answer.rawHeaders);
  if (fault?.kind === 'flip') return void flip(answer, response, fault.at);
  if (fault?.kind !== 'body') return void answer.pipe(response);

  let left = fault.bytes;
  response.flushHeaders();
  answer.on('data', (chunk: Buffer) => {
    if (left <= 0) return;
    response.write(chunk.subarray(0, left));
    left -= chunk.length;
    if (left > 0) return;
    // Without a line of HTTP between: written past the response, which would count.
    if (fault.afterwards === 'garbage') response.socket?.write(Buffer.alloc(1_000_000, 'x'));
    else if (fault.afterwards === 'close') response.socket?.end();
  });
}

function flip(answer: IncomingMessage, response: ServerResponse, at: number): void {
  let passed = at < 0 ? -Number(answer.headers['content-length']) : 0;
  answer.on('data', (chunk: Buffer) => {
    const index = at - passed;
    if (index >= 0 && index < chunk.length) chunk[index] = chunk[index]! ^ 1;
    passed += chunk.length;
    response.write(chunk);
  });
  answer.on('end', () => response.end());
}
