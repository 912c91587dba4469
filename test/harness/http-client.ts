import { request as startRequest, type Agent, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';

/** What a request consists of; GET without a body where nothing else is said. */
export type RequestOptions = {
  method?: string;
  headers?: Record<string, string | string[]>;
  body?: string | Buffer | Readable;
  agent?: Agent;
  signal?: AbortSignal;
};

/** An answer, as far as it came. */
export type Answer = {
  status: number;
  headers: IncomingHttpHeaders;
  rawHeaders: string[];
  trailers: NodeJS.Dict<string>;
  body: Buffer;
  text: string;
  /** Whether the body came to its proper end; a cut connection leaves it false. */
  complete: boolean;
  /** The id under which the log has it, empty where the answer came from no invocation. */
  requestId: string;
};

/** The body of an answer that says why there is none of the function's. */
export type ProblemBody = {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  reason?: string;
  requestId: string;
};

/**
 * Sends a request and reads the whole answer. Rejects when the connection ends before the answer's head;
 * after it, what came is returned with `complete` false.
 */
export async function send(url: string, options: RequestOptions = {}): Promise<Answer> {
  const response = await open(url, options);
  const chunks: Buffer[] = [];
  let complete = true;
  try {
    for await (const chunk of response) chunks.push(chunk as Buffer);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error;
    complete = false;
  }
  const body = Buffer.concat(chunks);
  return { ...describeHead(response), trailers: response.trailers, body, text: body.toString(), complete };
}

/** Sends a request and resolves with the answer's head; its body is read as a stream. */
export function open(url: string, options: RequestOptions = {}): Promise<IncomingMessage> {
  const { method = options.body === undefined ? 'GET' : 'POST', headers = {}, body, agent, signal } = options;
  return new Promise((resolve, reject) => {
    const request = startRequest(url, {
      method,
      headers,
      ...(agent === undefined ? { agent: false } : { agent }),
      ...(signal === undefined ? {} : { signal }),
    });
    request.once('response', resolve);
    // An answer may come before the request is complete; what becomes of the rest of it is the server's business.
    request.on('error', reject);
    if (body instanceof Readable) body.on('error', (error) => request.destroy(error)).pipe(request);
    else request.end(body);
  });
}

/** The problem in an answer. Throws where it is none. */
export function problemOf(answer: Answer): ProblemBody {
  if (answer.headers['content-type']?.split(';')[0] !== 'application/problem+json') {
    throw new Error(`no problem but ${answer.status} ${answer.headers['content-type']}: ${answer.text.slice(0, 500)}`);
  }
  return JSON.parse(answer.text) as ProblemBody;
}

function describeHead(response: IncomingMessage): Pick<Answer, 'status' | 'headers' | 'rawHeaders' | 'requestId'> {
  const id = response.headers['x-playa-request-id'];
  return {
    status: response.statusCode!,
    headers: response.headers,
    rawHeaders: response.rawHeaders,
    requestId: typeof id === 'string' ? id : '',
  };
}
