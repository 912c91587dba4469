import { afterAll, beforeAll, describe } from 'vitest';
import { openGatewayStore } from './gateway-store.ts';
import { describeObjectStoreContract } from './object-store-contract.ts';
import { gatewayMissing, startGateway, VERSITYGW_BUILD_LIMIT_MS, type Gateway } from './versitygw.ts';

const missing = gatewayMissing();

describe.skipIf(missing !== undefined)(`versitygw${missing === undefined ? '' : ` (${missing})`}`, () => {
  let gateway: Gateway;
  beforeAll(async () => {
    gateway = await startGateway(['bucket']);
  }, VERSITYGW_BUILD_LIMIT_MS);
  afterAll(() => gateway?.remove());

  describeObjectStoreContract('s3 over versitygw', async () => ({
    store: await openGatewayStore(gateway.url),
    keepsLabels: true,
  }));
});
