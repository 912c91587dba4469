import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createCredentials } from '@playa/common/credentials/credentials';
import { canonicalRequest, type SignableRequest } from '@playa/common/sigv4/canonical-request';
import { GENERIC_RULES, AWS4, S3_RULES, type SigningRules } from '@playa/common/sigv4/dialect';
import { presignRequest, signRequest } from '@playa/common/sigv4/sign-request';
import { signingKey, stringToSign } from '@playa/common/sigv4/signature';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const signatureIn = (headers: readonly (readonly [string, string])[]): string | undefined =>
  headers.find(([name]) => name === 'authorization')?.[1].split('Signature=')[1];

// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html and sigv4-query-string-auth.html
describe('the examples of the S3 manual', () => {
  const credentials = createCredentials({
    accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  });
  const timeMs = Date.UTC(2013, 4, 24);
  const rules: SigningRules = { ...S3_RULES, signsHeader: (name) => name === 'date' || S3_RULES.signsHeader(name) };
  const signing = { credentials, region: 'us-east-1', service: 's3', timeMs, rules };
  const request: SignableRequest = {
    method: 'GET',
    host: 'examplebucket.s3.amazonaws.com',
    path: '/',
    query: [],
    headers: [],
  };

  test('GET Object', () => {
    const headers = [['Range', 'bytes=0-9'] as const];
    expect(signRequest({ ...request, path: '/test.txt', headers }, sha256(''), signing)).toEqual([
      ['Range', 'bytes=0-9'],
      ['x-amz-date', '20130524T000000Z'],
      ['x-amz-content-sha256', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
      [
        'authorization',
        'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, ' +
          'SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, ' +
          'Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
      ],
    ]);
  });

  test('PUT Object', () => {
    const put: SignableRequest = {
      ...request,
      method: 'PUT',
      path: '/test$file.text',
      headers: [
        ['Date', 'Fri, 24 May 2013 00:00:00 GMT'],
        ['x-amz-storage-class', 'REDUCED_REDUNDANCY'],
      ],
    };
    expect(signatureIn(signRequest(put, sha256('Welcome to Amazon S3.'), signing))).toBe(
      '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    );
  });

  test('GET Bucket Lifecycle, a query without a value', () => {
    const lifecycle: SignableRequest = { ...request, query: [['lifecycle', '']] };
    expect(signatureIn(signRequest(lifecycle, sha256(''), signing))).toBe(
      'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
    );
  });

  test('List Objects', () => {
    const list: SignableRequest = {
      ...request,
      query: [
        ['max-keys', '2'],
        ['prefix', 'J'],
      ],
    };
    expect(signatureIn(signRequest(list, sha256(''), signing))).toBe(
      '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    );
  });

  test('a presigned URL', () => {
    const query = presignRequest({ ...request, path: '/test.txt' }, 86_400, signing);
    expect(query).toEqual([
      ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
      ['X-Amz-Credential', 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request'],
      ['X-Amz-Date', '20130524T000000Z'],
      ['X-Amz-Expires', '86400'],
      ['X-Amz-SignedHeaders', 'host'],
      ['X-Amz-Signature', 'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404'],
    ]);
  });
});

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
describe('the example of the IAM manual, step by step', () => {
  const scope = { day: '20150830', region: 'us-east-1', service: 'iam' };
  const secret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
  const request: SignableRequest = {
    method: 'GET',
    host: 'iam.amazonaws.com',
    path: '/',
    query: [
      ['Version', '2010-05-08'],
      ['Action', 'ListUsers'],
    ],
    headers: [
      ['Content-Type', 'application/x-www-form-urlencoded; charset=utf-8'],
      ['X-Amz-Date', '20150830T123600Z'],
    ],
  };

  test('canonical request', () => {
    const text = canonicalRequest(request, sha256(''), GENERIC_RULES);
    expect(text.split('\n')).toEqual([
      'GET',
      '/',
      'Action=ListUsers&Version=2010-05-08',
      'content-type:application/x-www-form-urlencoded; charset=utf-8',
      'host:iam.amazonaws.com',
      'x-amz-date:20150830T123600Z',
      '',
      'content-type;host;x-amz-date',
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    ]);
    expect(sha256(text)).toBe('f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59');
  });

  test('string to sign', () => {
    const text = canonicalRequest(request, sha256(''), GENERIC_RULES);
    expect(stringToSign('20150830T123600Z', scope, text, AWS4).split('\n')).toEqual([
      'AWS4-HMAC-SHA256',
      '20150830T123600Z',
      '20150830/us-east-1/iam/aws4_request',
      'f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59',
    ]);
  });

  test('signing key', () => {
    expect(signingKey(secret, scope, AWS4).toString('hex')).toBe(
      'c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9',
    );
  });

  test('signature', () => {
    const credentials = createCredentials({ accessKeyId: 'AKIDEXAMPLE', secretAccessKey: secret });
    const timeMs = Date.UTC(2015, 7, 30, 12, 36);
    const headers = request.headers.slice(0, 1);
    const signing = { credentials, region: 'us-east-1', service: 'iam', timeMs, rules: GENERIC_RULES };
    expect(signatureIn(signRequest({ ...request, headers }, sha256(''), signing))).toBe(
      '5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7',
    );
  });
});

// AWS's published test suite for the signature, its cases of a GET to `service`.
describe('the test suite of AWS', () => {
  const credentials = createCredentials({
    accessKeyId: 'AKIDEXAMPLE',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  });
  const rules: SigningRules = { ...GENERIC_RULES, signsHeader: () => true };
  const signing = {
    credentials,
    region: 'us-east-1',
    service: 'service',
    timeMs: Date.UTC(2015, 7, 30, 12, 36),
    rules,
  };
  const vanilla: SignableRequest = { method: 'GET', host: 'example.amazonaws.com', path: '/', query: [], headers: [] };
  const VANILLA = '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31';

  test.each<[string, Partial<SignableRequest>, string]>([
    ['get-vanilla', {}, VANILLA],
    ['get-relative', { path: '/example/..' }, VANILLA],
    ['get-relative-relative', { path: '/example1/example2/../..' }, VANILLA],
    ['get-slash', { path: '//' }, VANILLA],
    ['get-slash-dot-slash', { path: '/./' }, VANILLA],
    ['get-slashes', { path: '//example//' }, '9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84'],
    ['get-utf8', { path: '/ሴ' }, '8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85'],
    ['get-space', { path: '/example space/' }, '652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741'],
    ['post-vanilla', { method: 'POST' }, '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b'],
    [
      'get-vanilla-query-order-key-case',
      {
        query: [
          ['Param2', 'value2'],
          ['Param1', 'value1'],
        ],
      },
      'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
    ],
    [
      'get-header-value-trim',
      {
        headers: [
          ['My-Header1', ' value1'],
          ['My-Header2', ' "a   b   c"'],
        ],
      },
      'acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736',
    ],
  ])('%s', (_name, changes, expected) => {
    expect(signatureIn(signRequest({ ...vanilla, ...changes }, sha256(''), signing))).toBe(expected);
  });
});
