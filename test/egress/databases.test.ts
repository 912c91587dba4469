import { spawn, type ChildProcess } from 'node:child_process';
import { connect } from 'node:net';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { startDnsServer, type DnsServer } from '../harness/dns-server.ts';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';
import { waitUntil } from '../harness/wait-until.ts';

const REDIS = '/usr/bin/redis-server';
const INSTALLED = existsSync(REDIS);
if (!INSTALLED) console.log('skipped: there is no redis-server (apt-get install redis-server)');

let redis: ChildProcess;
let port: number;
let bucket: TestBucket;
let server: TestServer;
let dns: DnsServer;
const folder = makeTemporaryFolder('redis');

async function freePort(): Promise<number> {
  const made = createServer().listen(0, '127.0.0.1');
  await once(made, 'listening');
  const { port: free } = made.address() as AddressInfo;
  made.close();
  await once(made, 'close');
  return free;
}

function answers(to: number): Promise<true | undefined> {
  return new Promise((resolve) => {
    const socket = connect(to, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(undefined));
  });
}

beforeAll(async () => {
  if (!INSTALLED) return;
  port = await freePort();
  redis = spawn(REDIS, ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder.path], {
    stdio: 'ignore',
  });
  await waitUntil('redis listens', () => answers(port));
  dns = await startDnsServer(() => ({ addresses: ['127.0.0.1'] }));
  bucket = makeBucket();
  for (const [name, rule] of Object.entries({
    allowed: `"tcp://cache.internal:${port}"`,
    other: '"https://api.example.com"',
  })) {
    bucket.putPolicy(name, `[net]\nallow = [${rule}]\n`);
    bucket.put(name, await buildGuest('egress'));
  }
  bucket.put('default', await buildGuest('egress'));
  server = await startServer(bucket.path, {
    'egress-allow-private': '127.0.0.1',
    'egress-resolver': dns.address,
  });
});

afterAll(async () => {
  if (INSTALLED) {
    await server.stop();
    dns.close();
    bucket.remove();
    redis.kill();
    await once(redis, 'exit');
  }
  folder.remove();
});

describe.runIf(INSTALLED)('a Redis server on a private address', () => {
  const ask = async (name: string, commands: string): Promise<string> =>
    (await server.invoke(`${name}/tcp?host=cache.internal&port=${port}&send=${encodeURIComponent(commands)}`)).text;

  test('is reached by a function whose rule names it, where the operator exempts its address', async () => {
    expect(await ask('allowed', 'SET greeting hello\r\nGET greeting\r\nQUIT\r\n')).toBe(
      'ok: +OK\r\n$5\r\nhello\r\n+OK\r\n',
    );
  });

  test('is not reached by a function with another rule, nor by the default', async () => {
    expect(await ask('other', 'PING\r\nQUIT\r\n')).toBe('error: PermissionDenied');
    expect(await ask('default', 'PING\r\nQUIT\r\n')).toBe('error: PermissionDenied');
  });
});
