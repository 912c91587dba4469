import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { forge, compilePrebuilt } from '../harness/forged-artifacts.ts';
import { problemOf } from '../harness/http-client.ts';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';
import { waitUntil } from '../harness/wait-until.ts';

const folder = makeTemporaryFolder('policy');
let bucket: TestBucket;
let server: TestServer;

beforeAll(async () => {
  bucket = makeBucket({
    probe: await buildGuest('probe'),
    other: await buildGuest('probe'),
    asking: await forge(await compilePrebuilt('probe'), {
      world: 'http-0.2',
      policy: { limits: { 'wall-ms': 300 }, env: { FROM: 'the trailer' } },
    }),
  });
  const secrets = join(folder.path, 'secrets.toml');
  writeFileSync(secrets, '[TOKEN]\nvalue = "tops3cret"\nfunctions = ["probe"]\n');
  server = await startServer(bucket.path, { secrets });
});

afterAll(async () => {
  await server.stop();
  bucket.remove();
  folder.remove();
});

const put = (name: string, text: string): void => writeFileSync(join(bucket.path, `${name}.toml`), text);
const environmentOf = async (name: string): Promise<string> => (await server.invoke(`${name}/env`)).text;

test('a policy beside the artifact takes effect at once, changed and removed again too', async () => {
  expect(await environmentOf('probe')).not.toContain('GREETING');
  put('probe', 'secrets = ["TOKEN"]\n[env]\nGREETING = "hello"\n');
  await waitUntil('the variable', async () => ((await environmentOf('probe')).includes('hello') ? true : undefined));
  expect(await environmentOf('probe')).toContain('tops3cret');
  put('probe', '[env]\nGREETING = "good day"\n');
  await waitUntil('the change', async () => ((await environmentOf('probe')).includes('good day') ? true : undefined));
  expect(await environmentOf('probe')).not.toContain('tops3cret');
  rmSync(join(bucket.path, 'probe.toml'));
  await waitUntil('the removal', async () => ((await environmentOf('probe')).includes('good') ? undefined : true));
});

test('one function in a stronger isolation, others as the server says', async () => {
  put('other', 'isolation = "sandbox"\n');
  const answer = await server.invoke('other');
  expect((await server.log.invocation(answer.requestId))['isolation']).toBe('sandbox');
  const usual = await server.invoke('probe');
  expect((await server.log.invocation(usual.requestId))['isolation']).toBe('process');
  rmSync(join(bucket.path, 'other.toml'));
});

test('a policy in the trailer holds where there is no file', async () => {
  expect(await environmentOf('asking')).toContain('the trailer');
  expect(problemOf(await server.invoke('asking/loop'))).toMatchObject({ status: 504, code: 'wall_exceeded' });
});

test('a bad policy refuses its function alone, names the key, and shows no secret', async () => {
  put('other', 'secrets = ["TOKEN"]\n');
  const refused = await waitUntil('the refusal', async () => {
    const answer = await server.invoke('other');
    return answer.status === 422 ? answer : undefined;
  });
  expect(problemOf(refused)).toMatchObject({ code: 'artifact_refused', reason: 'policy' });
  expect(refused.text).toContain('no secret TOKEN for this function');
  put('other', '[limits]\nwarp-speed = 9\n');
  await waitUntil('the other refusal', async () =>
    (await server.invoke('other')).text.includes('limits.warp-speed') ? true : undefined,
  );
  expect((await server.invoke('probe')).status).toBe(200);
  rmSync(join(bucket.path, 'other.toml'));
  await waitUntil('it works again', async () => ((await server.invoke('other')).status === 200 ? true : undefined));
  expect(JSON.stringify(server.log.lines)).not.toContain('tops3cret');
});
