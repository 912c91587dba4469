import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { runPlaya, type PlayaRun } from '../harness/run-playa.ts';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { startServer } from '../harness/test-server.ts';
import { waitUntil } from '../harness/wait-until.ts';
import { GATEWAY_KEYS, GATEWAY_REGION, gatewayMissing, startGateway, type Gateway } from './versitygw.ts';

const missing = gatewayMissing();

describe.skipIf(missing !== undefined)(`deployed to versitygw${missing === undefined ? '' : ` (${missing})`}`, () => {
  let gateway: Gateway;
  let home: ReturnType<typeof makeTemporaryFolder>;
  let versions: string[];
  beforeAll(async () => {
    gateway = await startGateway(['bucket']);
    home = makeTemporaryFolder('home');
    mkdirSync(join(home.path, '.aws'));
    const { accessKeyId, secretAccessKey } = GATEWAY_KEYS;
    const keys = `aws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`;
    writeFileSync(join(home.path, '.aws/credentials'), `[default]\n${keys}`);
    versions = await Promise.all(['probe', 'probe-0-3'].map(buildGuest));
  });
  afterAll(async () => {
    await gateway?.remove();
    home?.remove();
  });
  const bucket = (): string => `s3://bucket/live?endpoint=${gateway.url}&region=${GATEWAY_REGION}`;
  const playa = (...args: string[]): Promise<PlayaRun> =>
    runPlaya([...args, '--bucket', bucket()], { HOME: home.path });

  test('what is deployed answers when the command has ended; going back and removing work as well', async () => {
    const server = await startServer(bucket(), { 'revalidate-ms': 100, 'missing-ms': 100 }, home.path);
    try {
      const answer = async (): Promise<string> => (await server.invoke('acme/hello.cwasm')).text;
      const deploy = (artifact: string): Promise<PlayaRun> =>
        playa('deploy', artifact, '--name', 'acme/hello', '--url', server.url);
      expect(await deploy(versions[0]!)).toMatchObject({ code: 0 });
      expect(await answer()).toBe('probe\n');
      expect(await deploy(versions[1]!)).toMatchObject({ code: 0 });
      expect(await answer()).toBe('probe 0.3\n');
      expect(await playa('rollback', 'acme/hello')).toMatchObject({ code: 0 });
      await waitUntil('the version before', async () => ((await answer()) === 'probe\n' ? true : undefined));
      expect((await playa('list')).stdout).toMatch(/^acme\/hello {2}[0-9a-f]{12}/);
      expect(await playa('remove', 'acme/hello')).toMatchObject({ code: 0 });
      expect((await playa('list')).stdout).not.toContain('acme/hello');
    } finally {
      await server.stop();
    }
  });

  test('who deploys at the same time is told, or both are there', async () => {
    const runs = await Promise.all(versions.map((file) => playa('deploy', file, '--name', 'contested')));
    expect(runs.map(({ code }) => code)).toContain(0);
    const { json } = await playa('list', 'contested', '--json');
    const listed = (json['versions'] as unknown[]).length;
    expect(listed).toBe(runs.filter(({ code }) => code === 0).length);
  });

  test('with a wrong secret nothing is written, and no message shows it', async () => {
    const wrong = {
      HOME: home.path,
      AWS_ACCESS_KEY_ID: GATEWAY_KEYS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: 'wrong-secret-1',
    };
    const run = await runPlaya(['deploy', versions[0]!, '--name', 'denied', '--bucket', bucket()], wrong);
    expect(run.code).not.toBe(0);
    expect(run.stderr).toContain('SignatureDoesNotMatch');
    expect(run.stdout + run.stderr).not.toContain('wrong-secret-1');
    expect((await playa('list')).stdout).not.toContain('denied');
    expect(readFileSync(join(home.path, '.aws/credentials'), 'utf8')).toContain(GATEWAY_KEYS.secretAccessKey);
  });
});
