import { inspect } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { createGoogleTokens } from '@playa/common/credentials/google-token';
import { startMetadataServer, type MetadataServer } from './metadata-server.ts';

let server: MetadataServer | undefined;
afterEach(() => server?.close());
const tokens = () =>
  createGoogleTokens({ env: { GCE_METADATA_HOST: server!.host }, timeMs: () => 1_000_000, random: Math.random });

test('the token of the default service account, with its end', async () => {
  server = await startMetadataServer(() => ({
    body: '{"access_token":"ya29.x","expires_in":3599,"token_type":"Bearer"}',
  }));
  const token = await tokens().get();
  expect(token).toMatchObject({ token: 'ya29.x', expiresAtMs: 1_000_000 + 3_599_000 });
  expect(inspect(token)).not.toContain('ya29');
  expect(server.asked).toMatchObject([
    { url: '/computeMetadata/v1/instance/service-accounts/default/token', headers: { 'metadata-flavor': 'Google' } },
  ]);
});

test.each([
  [404, '', 'no service account'],
  [200, 'ya29.secret', 'no token'],
  [200, '{"access_token":"ya29.secret"}', 'no token'],
  [200, '{"access_token":"ya29.secret\\r\\nx: y","expires_in":1}', 'no token'],
  [500, 'ya29.secret', 'status 500'],
])('%d %j', async (status, body, message) => {
  server = await startMetadataServer(() => ({ status, body }));
  const error = await tokens()
    .get()
    .catch((reason: Error) => reason);
  expect(inspect(error)).toContain(message);
  expect(inspect(error, { showHidden: true })).not.toContain('ya29');
});
