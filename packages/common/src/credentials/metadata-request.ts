import { request } from 'undici';

/** An answer of a service that gives credentials. */
export type MetadataAnswer = { status: number; text: string };

/** A request to a service that gives credentials. */
export type MetadataRequest = {
  url: string;
  method?: 'GET' | 'PUT' | 'POST';
  headers?: Readonly<Record<string, string>>;
  body?: string;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
};

/** Tokens have a few kilobytes. */
const MAX_ANSWER_BYTES = 256 * 1024;

/** Sends it; redirects are not followed, as what is sent is secret. Throws whatever keeps an answer from coming. */
export async function sendMetadataRequest(asked: MetadataRequest): Promise<MetadataAnswer> {
  const { url, method = 'GET', headers = {}, body = null, timeoutMs, signal } = asked;
  const limit = AbortSignal.timeout(timeoutMs);
  const answer = await request(url, {
    method,
    headers,
    body,
    signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
    // A connection of its own: what gives credentials is asked once an hour.
    reset: true,
  });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer.body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`the answer has more than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return { status: answer.statusCode, text: Buffer.concat(chunks).toString() };
}
