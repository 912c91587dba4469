import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import Fastify, { type FastifyInstance } from 'fastify';
import { INVOKE_PREFIX } from '../lifecycle/resolve-route.ts';
import { OUTCOMES, type OutcomeCode } from '../outcome/registry.ts';

/** Answers one request to a function. */
export type InvokeHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** A client must have sent its header by then. */
const HEADERS_TIMEOUT_MS = 15_000;
/** Longer than the 60 s or so after which load balancers drop an idle connection, so that it is never us who closes first. */
const KEEP_ALIVE_MS = 75_000;

/**
 * The HTTP server. Requests below `/invoke/` go straight to `invoke`, everything else through Fastify (docs/decisions/0001-invocations-beside-fastify.md).
 */
export function createServer(deps: {
  invoke: InvokeHandler;
  /** The function that a connection leads to, whatever its requests say; `undefined` for one from outside. */
  functionOf: (socket: Duplex) => string | undefined;
  maxRequestHeaderBytes: number;
}): FastifyInstance {
  const fastify = Fastify({
    serverFactory: (handler) =>
      listenForErrors(
        createHttpServer(
          {
            maxHeaderSize: deps.maxRequestHeaderBytes,
            headersTimeout: HEADERS_TIMEOUT_MS,
            // Bodies are bounded by the invocation's wall clock.
            requestTimeout: 0,
            keepAliveTimeout: KEEP_ALIVE_MS,
            // A slow answer is cut by the wall clock as well.
            noDelay: true,
          },
          (request, response) => {
            const functionName = deps.functionOf(request.socket);
            if (functionName !== undefined) {
              const target = request.url!.startsWith('/') ? request.url! : '/';
              request.url = `${INVOKE_PREFIX}${functionName}.cwasm${target}`;
            }
            if (request.url!.startsWith(INVOKE_PREFIX)) deps.invoke(request, response);
            else handler(request, response);
          },
        ),
      ),
    // Invocations have an access log of their own.
    logger: false,
  });
  fastify.setNotFoundHandler(async (_request, reply) => {
    reply.code(404).type('application/problem+json');
    return { type: 'about:blank', title: 'Not Found', status: 404, detail: `Functions are below ${INVOKE_PREFIX}.` };
  });
  return fastify;
}

function listenForErrors(server: Server): Server {
  // What Node could not parse never becomes a request.
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
    const code = malformedCode(error.code);
    const { status, title, remedy } = OUTCOMES[code];
    const body = `${JSON.stringify({ type: `urn:playa:outcome:${code}`, title, status, detail: remedy, code })}\n`;
    socket.end(
      `HTTP/1.1 ${status} ${title}\r\ncontent-type: application/problem+json\r\n` +
        `content-length: ${Buffer.byteLength(body)}\r\nx-playa-outcome: ${code}\r\nconnection: close\r\n\r\n${body}`,
    );
  });
  return server;
}

function malformedCode(code: string | undefined): OutcomeCode {
  if (code === 'HPE_HEADER_OVERFLOW') return 'request_header_too_large';
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'request_timeout';
  return 'request_invalid';
}
