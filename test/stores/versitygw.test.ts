import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canonicalQuery } from '@playa/common/sigv4/canonical-request';
import { createCredentials } from '@playa/common/credentials/credentials';
import { defaultObjectStoreDeps, openObjectStore } from '@playa/common/object-stores/open-object-store';
import { S3_RULES } from '@playa/common/sigv4/dialect';
import { presignRequest, type Signing } from '@playa/common/sigv4/sign-request';
import { fixedCredentials, openGatewayStore } from './gateway-store.ts';
import { describeObjectStoreContract } from './object-store-contract.ts';
import { GATEWAY_KEYS, GATEWAY_REGION, gatewayMissing, startGateway, type Gateway } from './versitygw.ts';

const missing = gatewayMissing();
const why = missing === undefined ? '' : ` (${missing})`;

describe.skipIf(missing !== undefined)(`versitygw${why}`, () => {
  let gateway: Gateway;
  beforeAll(async () => {
    gateway = await startGateway(['bucket', 'dotted.bucket'], { 'virtual-domain': 'gateway.test' });
  });
  afterAll(() => gateway?.remove());

  describeObjectStoreContract('s3, path style', async () => ({
    store: await openGatewayStore(gateway.url),
    keepsLabels: true,
  }));

  describeObjectStoreContract('s3, below a prefix with everything in it', async () => ({
    store: await openObjectStore(`s3://bucket/a b/ü+%25/!'()*?endpoint=${gateway.url}&region=${GATEWAY_REGION}`, {
      ...defaultObjectStoreDeps(),
      env: { AWS_ACCESS_KEY_ID: GATEWAY_KEYS.accessKeyId, AWS_SECRET_ACCESS_KEY: GATEWAY_KEYS.secretAccessKey },
    }),
    keepsLabels: true,
  }));

  describe.each([
    ['in the name of the host', 'bucket'],
    ['in the path where the name would not fit a certificate', 'dotted.bucket'],
  ])('the bucket %s', (_where, bucket) => {
    describeObjectStoreContract('s3, virtual-host style', async () => ({
      store: await openGatewayStore(
        `http://gateway.test:${gateway.port}`,
        { lookup: (_host, _options, found) => found(null, [{ address: '127.0.0.1', family: 4 }]) },
        `&region=${GATEWAY_REGION}&style=virtual`,
        bucket,
      ),
      keepsLabels: true,
    }));
  });

  describe('presigned URLs', () => {
    const signing = (): Signing => ({
      credentials: createCredentials(GATEWAY_KEYS),
      region: GATEWAY_REGION,
      service: 's3',
      timeMs: Date.now(),
      rules: S3_RULES,
    });
    const presign = (changes: Partial<Signing> = {}, seconds = 60): string => {
      const target = { method: 'GET', host: new URL(gateway.url).host, path: '/bucket/presigned%20%2B', headers: [] };
      const query = presignRequest({ ...target, query: [] }, seconds, { ...signing(), ...changes });
      return `${gateway.url}${target.path}?${canonicalQuery(query)}`;
    };
    beforeAll(async () => {
      const store = await openGatewayStore(gateway.url);
      await store.put('presigned +', Buffer.from('content'));
      await store.close();
    });

    test('are accepted', async () => {
      const answer = await fetch(presign());
      expect([answer.status, await answer.text()]).toEqual([200, 'content']);
    });

    test.each<[string, () => string]>([
      [
        'with another secret',
        () => presign({ credentials: createCredentials({ ...GATEWAY_KEYS, secretAccessKey: 'x' }) }),
      ],
      ['that have expired', () => presign({ timeMs: Date.now() - 120_000 })],
      ['for another object', () => presign().replace('/presigned', '/other')],
      ['with a life made longer', () => presign().replace('X-Amz-Expires=60', 'X-Amz-Expires=600')],
    ])('%s are not', async (_what, url) => {
      expect((await fetch(url())).status).toBe(403);
    });
  });
});

describe.skipIf(missing !== undefined)(`versitygw in the place of R2${why}`, () => {
  let gateway: Gateway;
  beforeAll(async () => {
    gateway = await startGateway(['bucket'], { region: 'auto' });
  });
  afterAll(() => gateway?.remove());

  describeObjectStoreContract('r2', async () => ({
    store: await openObjectStore(`r2://account/bucket?endpoint=${gateway.url}`, {
      ...defaultObjectStoreDeps(),
      env: {},
      credentials: fixedCredentials(GATEWAY_KEYS),
    }),
    keepsLabels: true,
  }));
});
