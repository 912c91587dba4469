// A real component, made of fixtures/behaviour.ts, behind the real server.
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildFunction } from '../../../test/harness/artifacts.ts';
import { PROJECT } from '../../../test/harness/project.ts';
import { makeBucket, type TestBucket } from '../../../test/harness/test-bucket.ts';
import { startServer, type TestServer } from '../../../test/harness/test-server.ts';

let bucket: TestBucket;
let server: TestServer;

beforeAll(async () => {
  const [behaviour, listener] = [
    await buildFunction(join(import.meta.dirname, 'fixtures/behaviour.ts')),
    await buildFunction(join(import.meta.dirname, 'fixtures/listener.js')),
  ];
  bucket = makeBucket({ behaviour, listener });
  server = await startServer(bucket.path);
}, 600_000);

afterAll(async () => {
  await server.stop();
  await server.dispose();
  bucket.remove();
});

async function json(path: string, options?: Parameters<TestServer['invoke']>[1]): Promise<unknown> {
  const answer = await server.invoke(`behaviour.cwasm${path}`, options);
  if (answer.status >= 400) throw new Error(`${answer.status} ${answer.text}`);
  return JSON.parse(answer.text);
}

/** What the log has as a function's stderr for a request. */
async function stderrOf(requestId: string): Promise<string> {
  await server.log.waitFor('the access line', (line) => line.msg === 'invocation' && line['reqId'] === requestId);
  return server.log.lines
    .filter((line) => line['reqId'] === requestId && line.msg === 'function log')
    .map((line) => JSON.stringify(line))
    .join('\n');
}

describe('a request', () => {
  test('has method, query and headers, and is answered by the method of the exported object', async () => {
    const answer = await server.invoke('behaviour.cwasm/hello?a=1', { method: 'PUT', body: 'x' });
    expect([answer.status, answer.text]).toEqual([200, 'hello PUT ?a=1']);
    expect((await server.invoke('behaviour.cwasm/nowhere')).text).toBe('not found: /nowhere');
    const headers = await server.invoke('behaviour.cwasm/headers', { headers: { 'x-many': ['1', '2'] } });
    expect(headers.text).toBe('1, 2');
    expect(headers.headers['set-cookie']).toEqual(['a=1', 'b=2']);
  });

  test('has an instance of its own', async () => {
    expect([await json('/count'), await json('/count'), await json('/count')]).toEqual([1, 1, 1]);
  });

  test('has an environment, which is empty here', async () => {
    expect(await json('/env')).toEqual({ debugged: 'not set' });
  });

  test('gives JSON, bytes, and forms with files', async () => {
    expect(await json('/json', { body: '{"x":[1]}' })).toEqual({ got: { x: [1] } });
    expect(await json('/bytes', { body: Buffer.from([0, 255, 7]) })).toEqual([0, 255, 7]);
    const boundary = 'xXx';
    const parts = [
      `--${boundary}\r\nContent-Disposition: form-data; name="text"\r\n\r\nä\r\n`,
      `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\nContent-Type: application/x-a\r\n\r\n`,
      Buffer.from([0, 255, 13, 10, 45, 45]),
      `\r\n--${boundary}--\r\n`,
    ];
    const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
    const headers = { 'content-type': `multipart/form-data; boundary=${boundary}` };
    expect(await json('/upload', { body, headers })).toEqual([
      ['text', 'ä'],
      ['file', 'a.bin', 'application/x-a', '00ff0d0a2d2d'],
    ]);
    expect(await json('/form-round-trip')).toEqual(['ä"b', 'a "b".bin', [0, 255, 13, 10]]);
  });
});

describe('a body', () => {
  test('streams through unchanged', async () => {
    const sent = randomBytes(3_000_000);
    const answer = await server.invoke('behaviour.cwasm/echo', { body: sent, headers: { 'content-type': 'x/y' } });
    expect(answer.headers['content-type']).toBe('x/y');
    expect(digestOf(answer.body)).toBe(digestOf(sent));
  });

  test('is produced chunk by chunk', async () => {
    const { body } = await server.invoke('behaviour.cwasm/stream');
    expect(body.length).toBe(1_000_000);
    expect([body[0], body[10_000], body[999_999]]).toEqual([1, 2, 100]);
  });

  test('of a clone can be read while the original is returned', async () => {
    const { text, headers } = await server.invoke('behaviour.cwasm/clone');
    expect([text, headers['etag'], headers['x-late'], headers['x-copy']]).toEqual(['twice', '"1"', 'yes', 'twice']);
    expect(await json('/clone-read')).toEqual([{ a: 1 }, '{"a":1}', true]);
  });
});

describe('a handler that fails', () => {
  test.each([
    ['/throw', ['TypeError: secret of the handler', 'its cause', 'behaviour.ts:']],
    ['/reject', ['only a text']],
    ['/nothing', ['returned undefined where a Response is expected']],
    // Node's own hashing is not there, as docs/writing-a-function.md says: what is asked for is named in the log.
    ['/node-hash', ['crypto.createHash is not implemented']],
  ])('%s is answered with an opaque 500, and the log says why', async (path, reasons) => {
    const answer = await server.invoke(`behaviour.cwasm${path}`);
    expect([answer.status, answer.text]).toEqual([500, 'Internal Server Error\n']);
    const log = await stderrOf(answer.requestId);
    for (const reason of reasons) expect(log).toContain(reason);
  });

  test('after the response does so in the log only', async () => {
    const answer = await server.invoke('behaviour.cwasm/wait-until');
    expect([answer.status, answer.text]).toEqual([200, 'first']);
    const log = await stderrOf(answer.requestId);
    expect(log).toContain('after the response');
    expect(log).toContain('rejected after the response');
  });
});

describe('the engine with what build-cwasm adds', () => {
  test.each([
    ['/codecs', '\u{1F600}ä'],
    ['/immediate', 'immediate'],
    ['/digest', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    ['/regex', '["Ä",false,true]'],
    ['/small', '[false,"/b","Playa","b","aGk=","a banner from a text file"]'],
  ])('%s answers %s', async (path, expected) => {
    expect((await server.invoke(`behaviour.cwasm${path}`)).text).toBe(expected);
  });

  test('has every global and method that the types package declares', async () => {
    const declared = declaredPaths();
    expect(declared).toEqual(
      expect.arrayContaining(['fetch', 'Response.prototype.clone', 'URL.canParse', 'console.table']),
    );
    expect(await json('/missing', { body: JSON.stringify([...declared, 'WebSocket']) })).toEqual(['WebSocket']);
  });

  test('is random at each request, also by methods kept at the top level', async () => {
    const [first, second] = [await json('/random'), await json('/random')] as [unknown[], unknown[]];
    first.forEach((value, index) => expect(value).not.toBe(second[index]));
    expect(first[1]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4/);
  });

  test('verifies RSA and ECDSA signatures, the false ones too', async () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const data = 'signed data';
    const cases = [
      {
        jwk: rsa.publicKey.export({ format: 'jwk' }),
        algorithm: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
        signature: sign('sha256', Buffer.from(data), rsa.privateKey).toString('hex'),
      },
      {
        jwk: ec.publicKey.export({ format: 'jwk' }),
        algorithm: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
        signature: sign('sha256', Buffer.from(data), { key: ec.privateKey, dsaEncoding: 'ieee-p1363' }).toString('hex'),
      },
    ];
    for (const each of cases) {
      expect(await json('/verify', { body: JSON.stringify({ ...each, data }) })).toBe(true);
      expect(await json('/verify', { body: JSON.stringify({ ...each, data: 'other' }) })).toBe(false);
    }
  });
});

describe('listeners for "fetch"', () => {
  test('answer, the first one that wants to', async () => {
    expect((await server.invoke('listener.cwasm/first')).text).toBe('first');
    expect((await server.invoke('listener.cwasm/second')).text).toBe('second, later');
  });

  test.each([
    ['/throw', 'Error: thrown by a listener'],
    ['/twice', 'respondWith was called twice'],
    ['/silent', 'no listener'],
  ])('%s is answered with an opaque 500', async (path, reason) => {
    const answer = await server.invoke(`listener.cwasm${path}`);
    expect([answer.status, answer.text]).toEqual([500, 'Internal Server Error\n']);
    expect(await stderrOf(answer.requestId)).toContain(reason);
  });
});

/** Globals, their static members and the members of their instances, as packages/types/globals declares them. */
function declaredPaths(): string[] {
  const folder = join(PROJECT.root, 'packages/types/globals');
  const text = readdirSync(folder)
    .map((file) => readFileSync(join(folder, file), 'utf8'))
    .join('\n');
  const members = new Map<string, string[]>();
  for (const [, name, block] of text.matchAll(/^interface (\w+).*?\{\n(.*?)^\}/gms))
    members.set(name!, memberNames(block!));
  const paths = [...text.matchAll(/^declare function (\w+)/gm)].map((match) => match[1]!);
  for (const [, name, type, block] of text.matchAll(/^declare var (\w+): (\w*)(?:\{\n(.*?)^\};)?/gms)) {
    paths.push(name!, ...memberNames(block ?? '').map((member) => `${name}.${member}`));
    for (const member of members.get(type!) ?? []) paths.push(`${name}.${member}`);
    if (block?.includes('prototype:'))
      for (const member of members.get(name!) ?? []) paths.push(`${name}.prototype.${member}`);
  }
  // Those two belong to each instance of the stand-ins for what the engine lacks, not to their prototypes.
  return paths.filter((path) => !/^Text(?:En|De)coderStream\.prototype\./.test(path));
}

function memberNames(block: string): string[] {
  const names = [...block.matchAll(/^ {2}(?:readonly )?(\w+)\??[(:<]/gm)].map((match) => match[1]!);
  return names.filter((name) => name !== 'new' && name !== 'prototype');
}

function digestOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
