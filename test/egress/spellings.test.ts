import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SPELLINGS } from '../../packages/dispatcher/test/egress/spellings.ts';
import { buildGuest } from '../harness/artifacts.ts';
import { startDnsServer, type DnsServer } from '../harness/dns-server.ts';
import { readEgressLedger } from '../harness/egress-ledger.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';

let bucket: TestBucket;
let server: TestServer;
let trap: Server;
let dns: DnsServer;
let port: number;
let reached = 0;

/** Names whose addresses nobody reaches, or not all of them. */
const NAMES: Record<string, string[]> = {
  'private.test': ['10.0.0.1'],
  'loopback.test': ['127.0.0.1'],
  'loopback6.test': ['::1'],
  'metadata.test': ['169.254.169.254'],
  'mapped.test': ['::ffff:7f00:1'],
  'nat64.test': ['64:ff9b::7f00:1'],
  'sixtofour.test': ['2002:7f00:1::1'],
  'local.test': ['fe80::1'],
  'several.test': ['10.0.0.1', '127.0.0.1', '169.254.169.254', 'fd00::1'],
};

beforeAll(async () => {
  bucket = makeBucket({ egress: await buildGuest('egress') });
  // What nobody may reach: a server on all addresses of this host.
  trap = createServer((_, response) => {
    reached++;
    response.end('reached');
  }).listen(0, '::');
  await once(trap, 'listening');
  port = (trap.address() as AddressInfo).port;
  dns = await startDnsServer((name) => {
    if (name === 'alias.test') return { aliases: ['loopback.test'], addresses: ['127.0.0.1'] };
    const addresses = NAMES[name];
    return addresses === undefined ? 'nxdomain' : { addresses };
  });
  server = await startServer(bucket.path, { 'egress-resolver': dns.address, 'egress-connect-ms': 300 });
});

afterAll(async () => {
  await server.stop();
  trap.close();
  dns.close();
  bucket.remove();
});

const ask = async (path: string): Promise<string> => (await server.invoke(`egress/${path}`)).text;

describe('no spelling of an address that nobody reaches is reached', () => {
  test.each(SPELLINGS)('by HTTP: %s', async (host, verdict) => {
    const text = await ask(`fetch?url=${encodeURIComponent(`http://${host}:${port}/`)}`);
    if (verdict === 'address_denied') {
      // What a URL cannot hold the guest's own side refuses.
      expect(text).toMatch(/DestinationIpProhibited|not a request|HttpRequestUriInvalid/);
    } else expect(text).toMatch(/HttpRequestDenied|not a request|HttpRequestUriInvalid/);
  });

  test.each(SPELLINGS)('by a socket: %s', async (host) => {
    const bare = host.replace(/^\[(.*)\]$/, '$1');
    const text = await ask(`tcp?host=${encodeURIComponent(bare)}&port=${port}`);
    expect(text).toMatch(/^error: (PermissionDenied|InvalidInput|Uncategorized|Other)/);
  });

  test.each([...Object.keys(NAMES), 'alias.test'])('by a name: %s', async (name) => {
    expect(await ask(`fetch?url=http://${name}:${port}/`)).toContain('DestinationIpProhibited');
    expect(await ask(`resolve?name=${name}`)).toMatch(/^error: PermissionDenied/);
    expect(await ask(`tcp?host=${name}&port=${port}`)).toMatch(/^error: PermissionDenied/);
  });

  test('nothing was reached, and the ledger holds each attempt with its reason', async () => {
    expect(reached).toBe(0);
    const text = await ask('fetch?url=http://0x7f.1:9/');
    expect(text).toContain('DestinationIpProhibited');
    const lines = readEgressLedger(server.stateFolder);
    expect(lines.length).toBeGreaterThan(SPELLINGS.length);
    expect(lines.filter(({ verdict }) => verdict === 'allowed')).toEqual([]);
    expect(lines.find(({ host }) => host === 'several.test')).toMatchObject({
      function: 'egress',
      verdict: 'refused',
      addresses: expect.arrayContaining(['10.0.0.1', '127.0.0.1', '169.254.169.254', 'fd00::1']) as string[],
    });
  });

  test("a refusal is in the function's log, with what would allow it", async () => {
    const { requestId } = await server.invoke('egress/fetch?url=http://10.1.2.3/');
    const line = await server.log.waitFor(
      'a refusal',
      (entry) => entry.reqId === requestId && entry.msg === 'function log',
    );
    expect(line['text']).toBe(
      'egress to 10.1.2.3 port 80 was refused: 10.1.2.3 is a private network (10.0.0.0/8); the operator would have to exempt it: --egress-allow-private 10.1.2.3',
    );
  });
});
