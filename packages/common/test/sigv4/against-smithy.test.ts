import { createHash, createHmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import { describe, expect, test } from 'vitest';
import { createCredentials } from '@playa/common/credentials/credentials';
import type { SignableRequest } from '@playa/common/sigv4/canonical-request';
import { GENERIC_RULES, S3_RULES, type SigningRules } from '@playa/common/sigv4/dialect';
import { presignRequest, signRequest, UNSIGNED_PAYLOAD } from '@playa/common/sigv4/sign-request';
import { encodePath } from '@playa/common/sigv4/uri-encoding';
import { createRandom, type SeededRandom } from '../../../../test/harness/random.ts';

/** SHA-256 and its HMAC in the form that the peer asks for. */
class Sha256 {
  readonly #hash;
  constructor(secret?: Uint8Array | ArrayBuffer | ArrayBufferView | string) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret as Uint8Array);
  }
  update(data: Uint8Array): void {
    this.#hash.update(data);
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
  reset(): void {}
}

const CHARACTERS = [
  ...' !"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~',
  ...'aAzZ09',
  ...['é', 'e\u0301', 'ß', '文', '🙂', '\u{10ffff}', '%20', '%2F', '%', '+', '..', './', '//', '\t'],
];
const text = (random: SeededRandom, most: number, alphabet: readonly string[] = CHARACTERS): string =>
  Array.from({ length: random.below(most + 1) }, () => random.pick(alphabet)).join('');

const PRINTABLE = [...' \t  !"#$%&\'()*+,-./:;<=>?@[]^_`{|}~aAzZ09é'];
const HEADERS = ['content-type', 'Content-MD5', 'Range', 'X-Amz-Meta-One', 'x-amz-meta-two', 'x-amz-acl', 'X-AMZ-a-b'];
const UNSIGNED = ['Accept-Encoding', 'User-Agent', 'connection', 'Expect', 'traceparent', 'x-forwarded-for'];

function generate(random: SeededRandom, generic: boolean): { request: SignableRequest; body: string } {
  // The generic rules normalise, so there the path is one that has something to resolve; for S3 it is a key.
  const path = `/${text(random, 24)}`;
  const query: [string, string][] = [];
  const names = ['Param', 'Param-3', 'param', 'Param3', 'uploads', 'prefix', text(random, 6), text(random, 3)];
  for (let count = random.below(6); count > 0; count--) {
    query.push([random.pick(names), random.pick(['', 'a', 'A', 'a b', text(random, 8)])]);
  }
  const headers = [...HEADERS, ...UNSIGNED]
    .filter(() => random.below(3) === 0)
    .map((name): [string, string] => [name, text(random, 12, PRINTABLE)]);
  return {
    request: {
      method: random.pick(['GET', 'PUT', 'HEAD', 'DELETE', 'POST']),
      host: random.pick(['bucket.s3.eu-central-1.amazonaws.com', 'localhost:9000', '[::1]:7070', 'example.com']),
      path: generic && random.below(2) === 0 ? path.replaceAll(/[?#]/g, '') : encodePath(path),
      query,
      headers,
    },
    body: random.below(2) === 0 ? '' : text(random, 20),
  };
}

function asPeerRequest(request: SignableRequest): Parameters<SignatureV4['presign']>[0] {
  const query: Record<string, string[]> = {};
  for (const [name, value] of request.query) (query[name] ??= []).push(value);
  const [hostname, port] = request.host.split(/:(\d+)$/);
  return {
    method: request.method,
    protocol: 'https:',
    hostname: hostname!,
    ...(port !== undefined && { port: Number(port) }),
    path: request.path,
    query,
    headers: { ...Object.fromEntries(request.headers), host: request.host },
  };
}

const unsignableHeaders = new Set(UNSIGNED.map((name) => name.toLowerCase()));

describe.each<[string, SigningRules, string]>([
  ['S3', S3_RULES, 's3'],
  ['generic', GENERIC_RULES, 'service'],
])('%s rules sign as @smithy/signature-v4 does', (name, rules, service) => {
  const generic = name === 'generic';
  const cases = Array.from({ length: 1000 }, (_, seed) => {
    const random = createRandom(seed);
    const token = random.below(2) === 0 ? undefined : text(random, 30, [...'abcXYZ019+/=']) || 'token';
    const identity = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: text(random, 20) || 'secret' };
    const credentials = createCredentials({ ...identity, sessionToken: token });
    const peer = new SignatureV4({
      credentials: { ...identity, ...(token !== undefined && { sessionToken: token }) },
      region: 'eu-central-1',
      service,
      sha256: Sha256,
      uriEscapePath: rules.encodePathTwice,
      applyChecksum: rules.contentSha256Header,
    });
    const timeMs = Date.UTC(2026, random.below(12), 1 + random.below(28), random.below(24), random.below(60), 7);
    const signing = { credentials, region: 'eu-central-1', service, timeMs, rules };
    return { seed, ...generate(random, generic), peer, signing };
  });

  test('by header', async () => {
    for (const { seed, request, body, peer, signing } of cases) {
      const payloadHash = createHash('sha256').update(body).digest('hex');
      const ours = signRequest(request, payloadHash, signing);
      const signingDate = new Date(signing.timeMs);
      const theirs = await peer.sign({ ...asPeerRequest(request), body }, { signingDate, unsignableHeaders });
      const expected = Object.entries(theirs.headers).filter(([header]) => header !== 'host');
      expect(Object.fromEntries(ours), `seed ${seed}`).toEqual(Object.fromEntries(expected));
    }
  });

  test('by query', async () => {
    for (const { seed, request, peer, signing } of cases) {
      const ours = presignRequest(request, 600, signing);
      const peerRequest = asPeerRequest(request);
      // The peer takes the digest from a header, which it would sign and send as well.
      const theirs = await peer.presign(
        { ...peerRequest, headers: { ...peerRequest.headers, 'x-amz-content-sha256': UNSIGNED_PAYLOAD } },
        {
          signingDate: new Date(signing.timeMs),
          expiresIn: 600,
          unsignableHeaders: new Set([...unsignableHeaders, 'x-amz-content-sha256']),
          unhoistableHeaders: new Set([...HEADERS.map((header) => header.toLowerCase()), 'x-amz-content-sha256']),
        },
      );
      const mac = ours.find(([parameter]) => parameter === 'X-Amz-Signature')?.[1];
      expect(mac, `seed ${seed}`).toBe(theirs.query?.['X-Amz-Signature']);
    }
  });
});
