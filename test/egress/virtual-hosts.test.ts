import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { readEgressLedger } from '../harness/egress-ledger.ts';
import { PROJECT } from '../harness/project.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';
import { waitUntil } from '../harness/wait-until.ts';

let bucket: TestBucket;
let server: TestServer;

beforeAll(async () => {
  bucket = makeBucket();
  bucket.putPolicy(
    'front',
    '[net]\nallow = ["http://probe.playa.internal", "http://front.playa.internal", "http://inner.team.playa.internal"]\n',
  );
  bucket.put('front', await buildGuest('egress'));
  bucket.put('default', await buildGuest('egress'));
  bucket.put('probe', await buildGuest('probe'));
  bucket.put('team/inner', await buildGuest('probe'));
  server = await startServer(bucket.path, { 'egress-depth': 3 });
});

afterAll(async () => {
  await server.stop();
  bucket.remove();
});

const fetched = (name: string, url: string): Promise<{ text: string; requestId: string }> =>
  server.invoke(`${name}/fetch?url=${encodeURIComponent(url)}`);

test('a function calls another by its name, and both are in the log', async () => {
  const { text, requestId } = await fetched('front', 'http://probe.playa.internal/headers?x=1');
  expect(text).toContain('status: 200');
  expect(text).toContain('probe.playa.internal');
  const line = await server.log.waitFor(
    'the call',
    (entry) => entry.msg === 'invocation' && entry['callerReqId'] === requestId,
  );
  expect(line).toMatchObject({ function: 'probe', caller: 'front', depth: 1, outcome: 'ok' });
  const ledger = await waitUntil('the connection', () =>
    readEgressLedger(server.stateFolder).find((entry) => entry.requestId === requestId),
  );
  expect(ledger).toMatchObject({ verdict: 'allowed', rule: 'http://probe.playa.internal', addresses: [] });
});

test('playa egress prints what a function did, and checks the chain', async () => {
  const { requestId } = await fetched('front', 'http://probe.playa.internal/');
  await waitUntil('the connection', () =>
    readEgressLedger(server.stateFolder).find((entry) => entry.requestId === requestId),
  );
  const print = (name: string): string =>
    execFileSync(PROJECT.playa, ['egress', '--function', name, '--state-dir', server.stateFolder], {
      encoding: 'utf8',
    });
  expect(print('front')).toContain(requestId);
  expect(print('probe')).toBe('');
});

test('labels in front of a name are its folders', async () => {
  expect((await fetched('front', 'http://inner.team.playa.internal/')).text).toContain('body: probe');
});

test('large bodies pass', async () => {
  const { text } = await fetched('front', 'http://probe.playa.internal/download?bytes=5000000');
  expect(text).toContain('bytes: 5000000');
});

test('without a rule that names it no function is called', async () => {
  expect((await fetched('default', 'http://probe.playa.internal/')).text).toContain('HttpRequestDenied');
  expect((await fetched('front', 'http://default.playa.internal/')).text).toContain('HttpRequestDenied');
  expect((await fetched('front', 'http://probe.playa.internal:8080/')).text).toContain('HttpRequestDenied');
  expect((await server.invoke('front/resolve?name=probe.playa.internal')).text).toBe('error: PermissionDenied');
});

test('a function that calls itself comes to an end', async () => {
  let url = 'http://probe.playa.internal/';
  for (let depth = 0; depth < 3; depth++) url = `http://front.playa.internal/fetch?url=${encodeURIComponent(url)}`;
  expect((await fetched('front', url)).text).toContain('HttpRequestDenied');
  let less = 'http://probe.playa.internal/';
  for (let depth = 0; depth < 2; depth++) less = `http://front.playa.internal/fetch?url=${encodeURIComponent(less)}`;
  expect((await fetched('front', less)).text).toContain('body: probe');
});

test('a function that does not exist is 404', async () => {
  bucket.putPolicy('wide', '[net]\nallow = ["*.playa.internal:80"]\n');
  bucket.put('wide', await buildGuest('egress'));
  expect((await fetched('wide', 'http://nobody.playa.internal/')).text).toContain('status: 404');
});
