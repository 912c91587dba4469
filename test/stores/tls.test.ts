import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PROJECT } from '../harness/project.ts';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { openGatewayStore } from './gateway-store.ts';
import { GATEWAY_KEYS, GATEWAY_REGION, gatewayMissing, startGateway, type Gateway } from './versitygw.ts';

const run = promisify(execFile);
const missing = gatewayMissing();

describe.skipIf(missing !== undefined)(`versitygw over TLS${missing === undefined ? '' : ` (${missing})`}`, () => {
  const folder = makeTemporaryFolder('tls');
  const certificate = join(folder.path, 'certificate.pem');
  let gateway: Gateway;
  let url: string;
  beforeAll(async () => {
    const key = join(folder.path, 'key.pem');
    const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    await run('openssl', ['req', '-x509', ...curve, '-keyout', key, '-out', certificate, ...subject]);
    gateway = await startGateway(['bucket'], { cert: certificate, key });
    url = gateway.url.replace('http:', 'https:');
  });
  afterAll(async () => {
    await gateway?.remove();
    folder.remove();
  });

  test('a certificate that the machine trusts', async () => {
    const { stdout } = await run(
      PROJECT.node,
      [join(PROJECT.root, 'test/stores/copy-object.ts'), `s3://bucket?endpoint=${url}&region=${GATEWAY_REGION}`],
      {
        env: {
          PATH: process.env['PATH'],
          NODE_EXTRA_CA_CERTS: certificate,
          AWS_ACCESS_KEY_ID: GATEWAY_KEYS.accessKeyId,
          AWS_SECRET_ACCESS_KEY: GATEWAY_KEYS.secretAccessKey,
        },
      },
    );
    expect(stdout).toBe('content');
  });

  test('one that nobody vouches for is not talked to', async () => {
    const store = await openGatewayStore(url, { pause: async () => {} });
    const refused = await store.get('a').catch((error: Error) => error);
    expect(refused).toMatchObject({ code: 'unavailable', message: expect.stringContaining('SELF_SIGNED') });
    await store.close();
  });

  test('without encryption where there is some', async () => {
    const store = await openGatewayStore(gateway.url, { pause: async () => {} });
    await expect(store.get('a')).rejects.toMatchObject({ name: 'ObjectStoreError' });
    await store.close();
  });
});
