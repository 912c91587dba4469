import { createHash, createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the imitation accepts. */
export const GOOGLE_KEY = { accessKeyId: 'GOOG1EXAMPLE', secretAccessKey: 'google-hmac-secret' };
export const GOOGLE_TOKEN = 'ya29.imitated-token';

type Stored = { bytes: Buffer; generation: string; modified: Date; headers: Record<string, string> };
type Reply = { status: number; headers?: Record<string, string | number>; body?: string | Buffer };

/**
 * What Google's XML interface is documented to do, as far as it is used: nobody here has an account. Generations instead of etags, conditions in
 * `x-goog-` headers, the GOOG4 signature (its canonical form written apart from the signer's) or a token.
 */
export async function startGoogleStorage(bucket: string): Promise<{ url: string; close: () => Promise<void> }> {
  const objects = new Map<string, Stored>();
  let generation = 1_700_000_000_000_000n;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      const refusal = whyRefused(request, body);
      const reply = refusal === undefined ? act(request, body) : fault(403, refusal);
      send(request, response, reply);
    });
  });

  const act = (request: IncomingMessage, body: Buffer): Reply => {
    const [path, query = ''] = request.url!.split('?') as [string, string?];
    const [, name, ...rest] = path.split('/');
    if (decodeURIComponent(name!) !== bucket) return fault(404, 'NoSuchBucket');
    const key = decodeURIComponent(rest.join('/'));
    if (key === '') return list(objects, new URLSearchParams(query.replaceAll('+', '%2B')));
    const stored = objects.get(key);
    const { headers } = request;
    const wanted = headers['x-goog-if-generation-match'];
    if (wanted !== undefined && wanted !== (stored?.generation ?? '0')) return fault(412, 'PreconditionFailed');
    if (request.method === 'PUT') {
      const kept = Object.entries(headers).filter(([header]) => /^(content-type|x-goog-meta-.*)$/.test(header));
      const fresh = { bytes: body, generation: `${++generation}`, modified: new Date() };
      objects.set(key, { ...fresh, headers: Object.fromEntries(kept) as Record<string, string> });
      return { status: 200, headers: { 'x-goog-generation': fresh.generation, etag: '"md5"' } };
    }
    if (stored === undefined) return fault(404, 'NoSuchKey');
    if (request.method === 'DELETE') {
      objects.delete(key);
      return { status: 204 };
    }
    if (headers['x-goog-if-generation-not-match'] === stored.generation) return { status: 304 };
    return read(stored, headers['range']);
  };

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function read({ bytes, generation, modified, headers }: Stored, range: string | undefined): Reply {
  const common = {
    ...headers,
    'x-goog-generation': generation,
    etag: '"md5"',
    'last-modified': modified.toUTCString(),
  };
  const parts = /^bytes=(\d+)-(\d*)$/.exec(range ?? '');
  if (parts === null) return { status: 200, headers: common, body: bytes };
  const first = Number(parts[1]);
  const last = Math.min(parts[2] === '' ? Infinity : Number(parts[2]), bytes.length - 1);
  if (first > last) return fault(416, 'InvalidRange');
  const contentRange = `bytes ${first}-${last}/${bytes.length}`;
  return { status: 206, headers: { ...common, 'content-range': contentRange }, body: bytes.subarray(first, last + 1) };
}

function list(objects: ReadonlyMap<string, Stored>, query: URLSearchParams): Reply {
  const page = 4;
  const after = query.get('continuation-token') ?? '';
  const keys = [...objects.keys()]
    .filter((key) => key.startsWith(query.get('prefix') ?? ''))
    .toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const begin = after === '' ? 0 : keys.indexOf(after) + 1;
  const entries = keys.slice(begin, begin + page).map((key) => {
    const { generation, bytes, modified } = objects.get(key)!;
    return `<Contents><Key>${escapeXml(key)}</Key><Generation>${generation}</Generation><LastModified>${modified.toISOString()}</LastModified><ETag>"md5"</ETag><Size>${bytes.length}</Size></Contents>`;
  });
  const more = begin + page < keys.length;
  const next = more ? `<NextContinuationToken>${escapeXml(keys[begin + page - 1]!)}</NextContinuationToken>` : '';
  const body = `<?xml version='1.0' encoding='UTF-8'?><ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'>${entries.join('')}<IsTruncated>${more}</IsTruncated>${next}</ListBucketResult>`;
  return { status: 200, body };
}

function whyRefused(request: IncomingMessage, body: Buffer): string | undefined {
  const { authorization = '' } = request.headers;
  if (Object.keys(request.headers).some((name) => name.startsWith('x-amz-'))) return 'MixedHeaders';
  if (authorization === `Bearer ${GOOGLE_TOKEN}`) return undefined;
  const parts =
    /^GOOG4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/auto\/storage\/goog4_request, SignedHeaders=([^,]+), Signature=(\w+)$/.exec(
      authorization,
    );
  if (parts === null || parts[1] !== GOOGLE_KEY.accessKeyId) return 'AccessDenied';
  const [, , day, names, given] = parts;
  const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex');
  if (request.headers['x-goog-content-sha256'] !== sha256(body)) return 'XAmzContentSHA256Mismatch';
  const [path, query = ''] = request.url!.split('?') as [string, string?];
  const canonical = [
    request.method,
    path.replaceAll(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`),
    query.split('&').toSorted().join('&'),
    ...names!.split(';').map((name) => `${name}:${String(request.headers[name]).trim().replaceAll(/ +/g, ' ')}`),
    '',
    names,
    sha256(body),
  ].join('\n');
  const date = request.headers['x-goog-date'];
  const text = `GOOG4-HMAC-SHA256\n${String(date)}\n${day}/auto/storage/goog4_request\n${sha256(canonical)}`;
  let key: string | Buffer = `GOOG4${GOOGLE_KEY.secretAccessKey}`;
  for (const part of [day!, 'auto', 'storage', 'goog4_request', text])
    key = createHmac('sha256', key).update(part).digest();
  return (key as Buffer).toString('hex') === given ? undefined : 'SignatureDoesNotMatch';
}

function send(request: IncomingMessage, response: ServerResponse, { status, headers = {}, body = '' }: Reply): void {
  const length = status === 304 || status === 204 ? {} : { 'content-length': Buffer.byteLength(body) };
  response.writeHead(status, { ...length, ...headers });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function fault(status: number, code: string): Reply {
  return { status, body: `<?xml version='1.0'?><Error><Code>${code}</Code><Message>m</Message></Error>` };
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
