import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { startDnsServer, type DnsAnswer, type DnsServer } from '../harness/dns-server.ts';
import { readEgressLedger } from '../harness/egress-ledger.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';
import { waitUntil } from '../harness/wait-until.ts';

const HEAD_BYTES = 12;

const chain = (length: number): string[] => Array.from({ length }, (_, at) => `link-${at}.example`);

/** Changes bytes of an answer at a place. */
const patched = (at: number, bytes: number[]) => (answer: Buffer) => {
  answer.set(bytes, at);
  return answer;
};

/** What a name server says of a name, and what becomes of a request to it. */
const LIES: Record<string, [answer: DnsAnswer, expected: RegExp]> = {
  'chain.test': [{ aliases: chain(8), addresses: ['127.0.0.1'] }, /DestinationIpProhibited/],
  'metadata-chain.test': [
    { aliases: ['public.example', 'metadata.google.internal'], addresses: ['169.254.169.254'] },
    /DestinationIpProhibited/,
  ],
  'dead-end.test': [{ aliases: chain(3), addresses: [] }, /NXDOMAIN/],
  'loop.test': [{ aliases: ['a.example', 'loop.test', 'a.example'], addresses: [] }, /DnsError/],
  'loop-with-address.test': [
    { aliases: ['a.example', 'loop-with-address.test'], addresses: ['127.0.0.1'] },
    /DnsError|DestinationIpProhibited/,
  ],
  // More than anybody needs, all of this host.
  'many.test': [
    { addresses: Array.from({ length: 200 }, (_, at) => `127.0.1.${at}`) },
    /DestinationIpProhibited|DnsError/,
  ],
  // An address under a name that nobody has asked for and no alias leads to.
  'stranger.test': [
    {
      addresses: ['127.0.0.1'],
      lie: (answer) => {
        // The owner is a pointer to the question's name; it becomes one to the second label of that.
        if (answer.readUInt16BE(6) > 0) answer.writeUInt16BE(0xc000 | (HEAD_BYTES + 9), answer.length - 16);
        return answer;
      },
    },
    /DnsError|DestinationIpProhibited/,
  ],
  'no-with-address.test': [
    { addresses: ['127.0.0.1'], lie: (answer) => patched(3, [0x83])(answer) },
    /DnsError|DestinationIpProhibited/,
  ],
  'garbage.test': [
    { addresses: [], lie: (_, query) => Buffer.concat([query.subarray(0, 2), Buffer.alloc(40, 0xff)]) },
    /Dns/,
  ],
  'cut-off.test': [{ addresses: ['127.0.0.1'], lie: (answer) => answer.subarray(0, answer.length - 2) }, /Dns/],
  'pointer-loop.test': [
    {
      addresses: ['127.0.0.1'],
      // The name of the question points to itself.
      lie: (answer) => patched(HEAD_BYTES, [0xc0, HEAD_BYTES])(answer),
    },
    /Dns/,
  ],
  'truncated.test': [{ addresses: ['127.0.0.1'], lie: (answer) => patched(2, [0x83])(answer) }, /Dns/],
  'counts.test': [{ addresses: ['127.0.0.1'], lie: (answer) => patched(6, [0xff, 0xff])(answer) }, /Dns/],
  'empty.test': [{ addresses: [], lie: () => Buffer.alloc(0) }, /DnsTimeout/],
  'other-number.test': [
    { addresses: ['127.0.0.1'], lie: (answer) => patched(0, [answer[0]! ^ 0xff, answer[1]! ^ 0xff])(answer) },
    /DnsTimeout/,
  ],
  'other-question.test': [
    { addresses: ['127.0.0.1'], lie: (answer) => patched(HEAD_BYTES + 1, [0x78, 0x78])(answer) },
    /DnsTimeout/,
  ],
};

let bucket: TestBucket;
let server: TestServer;
let dns: DnsServer;
let trap: Server;
let port: number;
let reached = 0;

beforeAll(async () => {
  bucket = makeBucket({ egress: await buildGuest('egress') });
  trap = createServer((socket) => {
    reached++;
    socket.end('reached');
  }).listen(0, '::');
  await once(trap, 'listening');
  port = (trap.address() as AddressInfo).port;
  dns = await startDnsServer((name) => LIES[name]?.[0] ?? 'nxdomain');
  server = await startServer(bucket.path, { 'egress-allow': 'public,*.test', 'egress-resolver': dns.address });
});

afterAll(async () => {
  await server.stop();
  trap.close();
  dns.close();
  bucket.remove();
});

test('whatever a resolver says, nothing that nobody reaches is reached, and there is an answer', async () => {
  // Side by side, as several of them are waited for.
  const asked = Object.entries(LIES).map(async ([name, [, expected]]) => {
    const { text } = await server.invoke(`egress/fetch?url=http://${name}:${port}/`);
    expect([name, text]).toEqual([name, expect.stringMatching(expected)]);
    expect((await server.invoke(`egress/tcp?host=${name}&port=${port}`)).text).toMatch(/^error: /);
  });
  await Promise.all(asked);
  expect(reached).toBe(0);
});

test('the ledger holds no more addresses of a name than are looked at', async () => {
  const entry = await waitUntil('the entry', () =>
    readEgressLedger(server.stateFolder).find(({ host }) => host === 'many.test'),
  );
  expect(entry.addresses.length).toBeLessThanOrEqual(16);
});

test('a name that only looks like one that a rule allows is another', async () => {
  bucket.putPolicy('narrow', '[net]\nallow = ["http://api.example.com"]\n');
  bucket.put('narrow', await buildGuest('egress'));
  const before = dns.questions.length;
  // A Cyrillic "а", a full stop of another script, a name below, one beside.
  for (const host of [
    '\u0430pi.example.com',
    'api.ex\u0430mple.com',
    'x.api.example.com',
    'api.example.com.evil.test',
  ]) {
    const { text } = await server.invoke(`narrow/fetch?url=${encodeURIComponent(`http://${host}/`)}`);
    expect([host, text]).toEqual([
      host,
      expect.stringMatching(/HttpRequestDenied|not a request|HttpRequestUriInvalid/),
    ]);
    const { text: byName } = await server.invoke(`narrow/resolve?name=${encodeURIComponent(host)}`);
    expect([host, byName]).toEqual([host, expect.stringMatching(/^error: /)]);
  }
  expect(dns.questions).toHaveLength(before);
});
