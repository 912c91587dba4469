import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { createCredentials } from '@playa/common/credentials/credentials';
import {
  canonicalHeaders,
  canonicalPath,
  canonicalQuery,
  canonicalRequest,
  type SignableRequest,
} from '@playa/common/sigv4/canonical-request';
import { AWS4, GENERIC_RULES, GOOG4, GOOGLE_STORAGE_RULES, S3_RULES } from '@playa/common/sigv4/dialect';
import { MAX_PRESIGNED_SECONDS, presignRequest, signRequest, UNSIGNED_PAYLOAD } from '@playa/common/sigv4/sign-request';
import { createSigningKeys, signingKey, signingTimestamp } from '@playa/common/sigv4/signature';
import { encodePath, encodeUri, recodePath } from '@playa/common/sigv4/uri-encoding';

const request: SignableRequest = { method: 'GET', host: 'bucket.example', path: '/', query: [], headers: [] };
const credentials = createCredentials({ accessKeyId: 'AKID', secretAccessKey: 'secret', sessionToken: 'token' });
const signing = {
  credentials,
  region: 'r',
  service: 's3',
  timeMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  rules: S3_RULES,
};

describe('paths', () => {
  test('all but unreserved characters are escaped, with upper-case hex', () => {
    expect(encodeUri("aZ09-._~ !'()*+/é")).toBe('aZ09-._~%20%21%27%28%29%2A%2B%2F%C3%A9');
    expect(encodePath('/a b/c+d/%2F')).toBe('/a%20b/c%2Bd/%252F');
  });

  test('half a surrogate pair has no encoding', () => {
    expect(() => encodeUri('\ud800')).toThrow(URIError);
  });

  test('dot segments, repeated slashes and escapes are part of a key of S3', () => {
    expect(canonicalPath('/a//b/../%2e%2e/./c%2Fd/', S3_RULES)).toBe('/a//b/../.././c%2Fd/');
    expect(canonicalPath(encodePath('/100%/é'), S3_RULES)).toBe('/100%25/%C3%A9');
  });

  test('other services resolve them and encode once more', () => {
    expect(canonicalPath('/a//b/../c%2Fd/', GENERIC_RULES)).toBe('/a/c%252Fd/');
    expect(canonicalPath('/../..', GENERIC_RULES)).toBe('/');
    expect(canonicalPath('', S3_RULES)).toBe('/');
  });

  test('what is sent raw or with lower-case hex is signed in the one canonical way', () => {
    expect(recodePath("/!'()*+%2f%c3%a9%7E%zz é")).toBe('/%21%27%28%29%2A%2B%2F%C3%A9~%25zz%20%C3%A9');
  });
});

describe('queries', () => {
  test('sorted by encoded bytes, by name and then by value, not as name=value', () => {
    const query = [
      ['Param-3', 'x'],
      ['Param', 'b'],
      ['param', 'y'],
      ['Param', 'a'],
      ['Param3', 'z'],
      ['é', '1'],
      ['\u{10ffff}', '1'],
      ['\uffff', '1'],
    ] as const;
    expect(canonicalQuery(query)).toBe(
      '%C3%A9=1&%EF%BF%BF=1&%F4%8F%BF%BF=1&Param=a&Param=b&Param-3=x&Param3=z&param=y',
    );
  });

  test('a space is %20, a plus %2B, and a name without a value has its sign', () => {
    expect(
      canonicalQuery([
        ['uploads', ''],
        ['a b', 'c+d'],
      ]),
    ).toBe('a%20b=c%2Bd&uploads=');
  });

  test('repeated names and values stay', () => {
    expect(
      canonicalQuery([
        ['a', '1'],
        ['a', '1'],
      ]),
    ).toBe('a=1&a=1');
  });
});

describe('headers', () => {
  test('values are trimmed, inner white space and folded lines become one space', () => {
    const headers = [['X-Amz-Meta-A', '  one \t two\r\n   three  ']] as const;
    expect(canonicalHeaders({ ...request, headers }, S3_RULES.signsHeader)).toEqual([
      ['host', 'bucket.example'],
      ['x-amz-meta-a', 'one two three'],
    ]);
  });

  test('repeated headers are joined by a comma alone, in their order', () => {
    const headers = [
      ['X-Amz-Meta-A', 'b'],
      ['x-amz-meta-a', 'a'],
    ] as const;
    expect(canonicalHeaders({ ...request, headers }, S3_RULES.signsHeader)[1]).toEqual(['x-amz-meta-a', 'b,a']);
  });

  test('what is rewritten on the way is not signed', () => {
    const rewritten = [
      'Accept-Encoding',
      'User-Agent',
      'Connection',
      'Expect',
      'Traceparent',
      'Content-Length',
      'Accept',
    ];
    const headers = rewritten.map((name) => [name, 'x'] as const);
    expect(canonicalHeaders({ ...request, headers }, S3_RULES.signsHeader)).toEqual([['host', 'bucket.example']]);
    // But it is sent.
    expect(signRequest({ ...request, headers }, UNSIGNED_PAYLOAD, signing)).toEqual(expect.arrayContaining(headers));
  });

  test('the host is signed with its port and brackets', () => {
    for (const host of ['localhost:7070', '[::1]:7070', '[::1]']) {
      expect(canonicalRequest({ ...request, host }, '', S3_RULES)).toContain(`\nhost:${host}\n`);
    }
  });
});

describe('bodies and tokens', () => {
  const named = (headers: readonly (readonly [string, string])[], name: string): string | undefined =>
    headers.find(([header]) => header === name)?.[1];

  test('S3 gets the digest of the body in a header, other services do not', () => {
    expect(named(signRequest(request, UNSIGNED_PAYLOAD, signing), 'x-amz-content-sha256')).toBe(UNSIGNED_PAYLOAD);
    const generic = signRequest(request, 'abc', { ...signing, rules: GENERIC_RULES });
    expect(named(generic, 'x-amz-content-sha256')).toBeUndefined();
  });

  test('another body is another signature', () => {
    const one = signRequest(request, 'aa', signing);
    expect(named(signRequest(request, 'bb', signing), 'authorization')).not.toBe(named(one, 'authorization'));
  });

  test('a session token is signed, or where the rules say so only sent', () => {
    const signed = signRequest(request, 'aa', signing);
    expect(named(signed, 'x-amz-security-token')).toBe('token');
    expect(named(signed, 'authorization')).toContain('x-amz-date;x-amz-security-token,');
    const sent = signRequest(request, 'aa', { ...signing, rules: { ...S3_RULES, omitSessionToken: true } });
    expect(named(sent, 'x-amz-security-token')).toBe('token');
    expect(named(sent, 'authorization')).not.toContain('security-token');
    const query = presignRequest(request, 60, { ...signing, rules: { ...S3_RULES, omitSessionToken: true } });
    expect(query.at(-1)).toEqual(['X-Amz-Security-Token', 'token']);
  });

  test('secrets are shown by nothing that walks over credentials', () => {
    for (const shown of [JSON.stringify({ credentials }), inspect(credentials), `${Object.entries(credentials)}`]) {
      expect(shown).toContain('AKID');
      expect(shown).not.toMatch(/secret|token/);
    }
  });
});

describe('presigned', () => {
  test.each([0, -1, 1.5, MAX_PRESIGNED_SECONDS + 1, Number.NaN])('not for %d seconds', (seconds) => {
    expect(() => presignRequest(request, seconds, signing)).toThrow(RangeError);
  });

  test('not for longer than its credentials live', () => {
    const short = createCredentials({ accessKeyId: 'a', secretAccessKey: 'b', expiresAtMs: signing.timeMs + 60_000 });
    expect(() => presignRequest(request, 61, { ...signing, credentials: short })).toThrow('expire in 60 s');
    expect(presignRequest(request, 60, { ...signing, credentials: short })).toHaveLength(6);
  });

  test('the token and its own parameters are signed with the rest', () => {
    const query = presignRequest({ ...request, query: [['versionId', 'x']] }, 60, signing);
    expect(query.map(([name]) => name)).toEqual([
      'versionId',
      'X-Amz-Algorithm',
      'X-Amz-Credential',
      'X-Amz-Date',
      'X-Amz-Expires',
      'X-Amz-SignedHeaders',
      'X-Amz-Security-Token',
      'X-Amz-Signature',
    ]);
  });
});

describe('keys and time', () => {
  test('the time has no fraction', () => {
    expect(signingTimestamp(signing.timeMs)).toBe('20260102T030405Z');
  });

  test('remembered signing keys differ in secret, day, region, service and dialect', () => {
    const keys = createSigningKeys(3);
    const scope = { day: '20260102', region: 'r', service: 's3' };
    const variants: Parameters<typeof signingKey>[] = [
      ['secret', scope, AWS4],
      ['other', scope, AWS4],
      ['secret', { ...scope, day: '20260103' }, AWS4],
      ['secret', { ...scope, region: 'q' }, AWS4],
      ['secret', { ...scope, service: 'sts' }, AWS4],
      ['secret', scope, GOOG4],
    ];
    for (const round of [1, 2]) {
      for (const variant of variants) {
        expect(keys(...variant).toString('hex'), `round ${round}`).toBe(signingKey(...variant).toString('hex'));
      }
    }
    expect(new Set(variants.map((variant) => keys(...variant).toString('hex'))).size).toBe(variants.length);
  });
});

test("Google's dialect has the same steps under other names", () => {
  const google = createCredentials({ accessKeyId: 'GOOG1', secretAccessKey: 'secret' });
  const headers = signRequest({ ...request, headers: [['x-goog-if-generation-match', '0']] }, 'aa', {
    ...signing,
    region: 'auto',
    service: 'storage',
    credentials: google,
    rules: GOOGLE_STORAGE_RULES,
  });
  expect(headers.slice(0, 3)).toEqual([
    ['x-goog-if-generation-match', '0'],
    ['x-goog-date', '20260102T030405Z'],
    ['x-goog-content-sha256', 'aa'],
  ]);
  expect(headers[3]![1]).toMatch(
    /^GOOG4-HMAC-SHA256 Credential=GOOG1\/20260102\/auto\/storage\/goog4_request, SignedHeaders=host;x-goog-content-sha256;x-goog-date;x-goog-if-generation-match, Signature=[0-9a-f]{64}$/,
  );
  const names = presignRequest(request, 60, { ...signing, credentials: google, rules: GOOGLE_STORAGE_RULES });
  expect(names.map(([name]) => name)).toContain('X-Goog-Signature');
});
