import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fixedCredentials, openGatewayStore } from './gateway-store.ts';
import { describeObjectStoreContract } from './object-store-contract.ts';
import { RADOSGW_KEYS, RADOSGW_START_LIMIT_MS, radosgwMissing, startRadosgw, type Radosgw } from './radosgw.ts';

const missing = radosgwMissing();

describe.skipIf(missing !== undefined)(`radosgw${missing === undefined ? '' : ` (${missing})`}`, () => {
  let radosgw: Radosgw;
  beforeAll(async () => {
    radosgw = await startRadosgw('bucket');
  }, RADOSGW_START_LIMIT_MS);
  afterAll(() => radosgw?.stop());

  describeObjectStoreContract('s3', async () => ({
    store: await openGatewayStore(radosgw.url, { credentials: fixedCredentials(RADOSGW_KEYS) }, ''),
    keepsLabels: true,
  }));

  test('a wrong secret is refused', async () => {
    const credentials = fixedCredentials({ ...RADOSGW_KEYS, secretAccessKey: 'wrong' });
    const store = await openGatewayStore(radosgw.url, { credentials }, '');
    await expect(store.get('a')).rejects.toMatchObject({ code: 'access_denied', status: 403 });
    await expect(store.head('a')).rejects.toMatchObject({ code: 'access_denied', status: 403 });
    await store.close();
  });

  test.each([-20, 20])('a clock that is wrong by %d minutes is corrected', async (minutes) => {
    const timeMs = (): number => Date.now() + minutes * 60_000;
    const store = await openGatewayStore(radosgw.url, { credentials: fixedCredentials(RADOSGW_KEYS), timeMs }, '');
    await store.put('skewed', Buffer.from('x'));
    expect(await store.head('skewed')).toMatchObject({ bytes: 1 });
    await store.close();
  });
});
