import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { containerMissing, startContainer, type Container } from './container.ts';
import { fixedCredentials, openGatewayStore } from './gateway-store.ts';
import { describeObjectStoreContract } from './object-store-contract.ts';
import { GATEWAY_KEYS } from './versitygw.ts';

const missing = await containerMissing();

describe.skipIf(missing !== undefined)(
  `versitygw in a container${missing === undefined ? '' : ` (${missing})`}`,
  () => {
    let container: Container;
    beforeAll(async () => {
      container = await startContainer('bucket');
    });
    afterAll(() => container?.stop());

    describeObjectStoreContract('s3', async () => ({
      store: await openGatewayStore(container.url),
      keepsLabels: true,
    }));

    test('a wrong secret is refused', async () => {
      const credentials = fixedCredentials({ ...GATEWAY_KEYS, secretAccessKey: 'wrong' });
      const store = await openGatewayStore(container.url, { credentials });
      await expect(store.get('a')).rejects.toMatchObject({ code: 'access_denied', status: 403 });
      await store.close();
    });
  },
);
