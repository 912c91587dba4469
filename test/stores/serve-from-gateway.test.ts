import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ObjectStore } from '@playa/common/object-store';
import { buildGuest } from '../harness/artifacts.ts';
import { problemOf } from '../harness/http-client.ts';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { startServer, type ServerOptions, type TestServer } from '../harness/test-server.ts';
import { waitUntil } from '../harness/wait-until.ts';
import { openGatewayStore } from './gateway-store.ts';
import { GATEWAY_KEYS, GATEWAY_REGION, gatewayMissing, startGateway, type Gateway } from './versitygw.ts';

const missing = gatewayMissing();

describe.skipIf(missing !== undefined)(`served from versitygw${missing === undefined ? '' : ` (${missing})`}`, () => {
  let gateway: Gateway;
  let store: ObjectStore;
  let oldVersion: Buffer;
  let newVersion: Buffer;
  const homes: ReturnType<typeof makeTemporaryFolder>[] = [];
  beforeAll(async () => {
    gateway = await startGateway(['bucket']);
    store = await openGatewayStore(gateway.url);
    oldVersion = readFileSync(await buildGuest('probe'));
    newVersion = readFileSync(await buildGuest('probe-0-3'));
  });
  afterAll(async () => {
    await store?.close();
    await gateway?.remove();
    for (const home of homes) home.remove();
  });

  /** A server that finds its keys where users keep them. */
  const serve = (secret: string, options: ServerOptions = {}): Promise<TestServer> => {
    const home = makeTemporaryFolder('home');
    homes.push(home);
    mkdirSync(join(home.path, '.aws'));
    const keys = `aws_access_key_id = ${GATEWAY_KEYS.accessKeyId}\naws_secret_access_key = ${secret}\n`;
    writeFileSync(join(home.path, '.aws/credentials'), `[default]\n${keys}`);
    const url = `s3://bucket/functions?endpoint=${gateway.url}&region=${GATEWAY_REGION}`;
    return startServer(url, { 'revalidate-ms': 100, 'missing-ms': 100, ...options }, home.path);
  };

  test('cold, warm, changed, removed', async () => {
    await store.put('functions/acme/f.cwasm', oldVersion);
    const server = await serve(GATEWAY_KEYS.secretAccessKey);
    try {
      const answerOf = async (): Promise<string> => (await server.invoke('acme/f.cwasm')).text;
      expect(await answerOf()).toBe('probe\n');
      expect(await answerOf()).toBe('probe\n');
      await store.put('functions/acme/f.cwasm', newVersion);
      await waitUntil('the new version', async () => ((await answerOf()) === 'probe 0.3\n' ? true : undefined));
      await store.delete('functions/acme/f.cwasm');
      await waitUntil('its end', async () => ((await server.invoke('acme/f.cwasm')).status === 404 ? true : undefined));
      // Beside the prefix is outside of the bucket.
      await store.put('beside.cwasm', oldVersion);
      expect(problemOf(await server.invoke('beside.cwasm')).code).toBe('function_not_found');
    } finally {
      await server.stop();
    }
  });

  test('with the bucket gone, what is known is served and what is not is bucket_unavailable; it recovers by itself', async () => {
    await store.put('functions/known.cwasm', oldVersion);
    await store.put('functions/later.cwasm', newVersion);
    const server = await serve(GATEWAY_KEYS.secretAccessKey);
    try {
      expect((await server.invoke('known.cwasm')).text).toBe('probe\n');
      await gateway.stop();
      for (let round = 0; round < 20; round++) {
        expect((await server.invoke('known.cwasm')).text).toBe('probe\n');
        expect(problemOf(await server.invoke('later.cwasm')).code).toBe('bucket_unavailable');
      }
      await gateway.start();
      const later = await waitUntil('recovery', async () => {
        const answer = await server.invoke('later.cwasm');
        return answer.status === 200 ? answer.text : undefined;
      });
      expect(later).toBe('probe 0.3\n');
    } finally {
      await server.stop();
    }
  });

  test('a wrong secret is refused by the bucket, said in the log at the start, and shown to nobody', async () => {
    await store.put('functions/known.cwasm', oldVersion);
    const server = await serve('wrong-secret-987');
    try {
      await server.log.waitFor('the warning', (line) => line.msg === 'the bucket cannot be read');
      const answer = await server.invoke('known.cwasm');
      expect(problemOf(answer).code).toBe('bucket_unavailable');
      const all = JSON.stringify([answer, server.log.lines, server.log.other]);
      expect(all).toContain('SignatureDoesNotMatch');
      expect(all).not.toContain('wrong-secret-987');
      expect(JSON.stringify(answer)).not.toContain(GATEWAY_KEYS.accessKeyId);
    } finally {
      await server.stop();
    }
  });
});
