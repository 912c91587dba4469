import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { startDnsServer, type DnsServer } from '../harness/dns-server.ts';
import { findPostgres, startPostgres, type PostgresServer } from '../harness/postgres-server.ts';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';
import { waitUntil } from '../harness/wait-until.ts';

const REDIS = '/usr/bin/redis-server';
const HAS_REDIS = existsSync(REDIS);
if (!HAS_REDIS) console.log('skipped: there is no redis-server (apt-get install redis-server)');
const POSTGRES = findPostgres();
if (POSTGRES === undefined) console.log('skipped: there is no PostgreSQL (apt-get install postgresql)');

let redis: ChildProcess | undefined;
let redisPort: number;
let postgres: PostgresServer | undefined;
let bucket: TestBucket;
let server: TestServer;
let dns: DnsServer;
const folders = { redis: makeTemporaryFolder('redis'), postgres: makeTemporaryFolder('postgres') };

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
  redisPort = await freePort();
  const postgresPort = await freePort();
  if (HAS_REDIS) {
    const flags = ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', '', '--dir', folders.redis.path];
    redis = spawn(REDIS, flags, { stdio: 'ignore' });
    await waitUntil('redis listens', () => answers(redisPort));
  }
  if (POSTGRES !== undefined) postgres = await startPostgres(POSTGRES, folders.postgres.path, postgresPort);
  dns = await startDnsServer(() => ({ addresses: ['127.0.0.1'] }));
  bucket = makeBucket();
  for (const [name, rule] of Object.entries({
    allowed: `"tcp://cache.internal:${redisPort}", "tcp://db.internal:${postgresPort}"`,
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
}, 60_000);

afterAll(async () => {
  await server.stop();
  dns.close();
  bucket.remove();
  await postgres?.stop();
  if (redis !== undefined) {
    redis.kill();
    await once(redis, 'exit');
  }
  folders.redis.remove();
  folders.postgres.remove();
});

describe.runIf(HAS_REDIS)('a Redis server on a private address', () => {
  const ask = async (name: string, commands: string): Promise<string> => {
    const query = `host=cache.internal&port=${redisPort}&send=${encodeURIComponent(commands)}`;
    return (await server.invoke(`${name}/tcp?${query}`)).text;
  };

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

describe.runIf(POSTGRES !== undefined)('a PostgreSQL server on a private address', () => {
  const ask = async (name: string, query: string, password = postgres!.password): Promise<string> => {
    const { port, user } = postgres!;
    const asked = { host: 'db.internal', port: String(port), user, password, database: 'postgres', query };
    return (await server.invoke(`${name}/postgres?${asParameters(asked)}`)).text;
  };

  test('is reached by a function whose rule names it: it logs in, writes and reads', async () => {
    expect(await ask('allowed', 'create table visit (who text, times int)')).toBe('ok: ');
    expect(await ask('allowed', "insert into visit values ('ada', 3), ('Grüße', null)")).toBe('ok: ');
    expect(await ask('allowed', 'select who, times from visit order by times')).toBe('ok: ada | 3\nGrüße | null');
    expect(await ask('allowed', "select repeat('x', 2000000)")).toBe(`ok: ${'x'.repeat(2_000_000)}`);
  });

  test('what the server says against it is an answer, not a failure of the connection', async () => {
    expect(await ask('allowed', 'select nothing')).toContain('column "nothing" does not exist');
    expect(await ask('allowed', 'select 1', 'wrong')).toContain('password authentication failed');
  });

  test('is not reached by a function with another rule, nor by the default', async () => {
    expect(await ask('other', 'select 1')).toBe('error: PermissionDenied');
    expect(await ask('default', 'select 1')).toBe('error: PermissionDenied');
  });
});

function asParameters(values: Record<string, string>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .join('&');
}
