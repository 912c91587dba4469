import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defaultObjectStoreDeps, openObjectStore } from '@playa/common/object-stores/open-object-store';
import { startMetadataServer, type MetadataServer } from '../../packages/common/test/credentials/metadata-server.ts';
import { GOOGLE_KEY, GOOGLE_TOKEN, startGoogleStorage } from './google-storage.ts';
import { describeObjectStoreContract } from './object-store-contract.ts';

const HMAC_ENV = { GCS_HMAC_ACCESS_ID: GOOGLE_KEY.accessKeyId, GCS_HMAC_SECRET: GOOGLE_KEY.secretAccessKey };

describe("an imitation of Google's XML interface", () => {
  let storage: Awaited<ReturnType<typeof startGoogleStorage>>;
  let metadata: MetadataServer;
  let tokens = 0;
  beforeAll(async () => {
    storage = await startGoogleStorage('a-bucket');
    metadata = await startMetadataServer(() => {
      tokens++;
      return { body: JSON.stringify({ access_token: tokens === 1 ? 'ya29.expired' : GOOGLE_TOKEN, expires_in: 3599 }) };
    });
  });
  afterAll(async () => {
    await storage.close();
    await metadata.close();
  });
  const open = (env: NodeJS.ProcessEnv) =>
    openObjectStore(`gs://a-bucket/some/prefix?endpoint=${storage.url}`, { ...defaultObjectStoreDeps(), env });

  describeObjectStoreContract('gs with an HMAC key', async () => ({ store: await open(HMAC_ENV), keepsLabels: true }));

  describeObjectStoreContract("gs with a service account's token", async () => {
    tokens = 1;
    return { store: await open({ GCE_METADATA_HOST: metadata.host }), keepsLabels: true };
  });

  test('a wrong secret is refused', async () => {
    const store = await open({ ...HMAC_ENV, GCS_HMAC_SECRET: 'wrong-secret' });
    const error = await store.get('a').catch((reason: Error) => reason);
    expect(error).toMatchObject({ code: 'access_denied' });
    expect(inspect(error)).not.toContain('wrong-secret');
    await store.close();
  });

  test('a token is given to no other host', async () => {
    const curious = await startMetadataServer(() => ({ status: 200, body: 'x' }));
    const location = `${curious.url}/a-bucket/a`;
    const redirecting = await startMetadataServer(() => ({ status: 307, headers: { location }, body: '' }));
    const store = await openObjectStore(`gs://a-bucket?endpoint=${redirecting.url}`, {
      ...defaultObjectStoreDeps(),
      env: { GCE_METADATA_HOST: metadata.host },
    });
    await expect(store.get('a')).rejects.toMatchObject({ code: 'invalid' });
    expect(curious.asked).toEqual([]);
    await store.close();
    await curious.close();
    await redirecting.close();
  });
});
