import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { problemOf } from '../harness/http-client.ts';
import { patternStream } from '../harness/pattern.ts';
import { connectRaw, type RawConnection } from '../harness/raw-client.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';

const MIB = 1024 * 1024;

let bucket: TestBucket;
let server: TestServer;

beforeAll(async () => {
  bucket = makeBucket({ probe: await buildGuest('probe') });
  server = await startServer(bucket.path, { 'max-request-body-bytes': MIB, 'wall-ms': 5000 });
});

afterAll(async () => {
  await server.stop();
  bucket.remove();
});

const expectNextWorks = async (): Promise<void> => {
  expect((await server.invoke('probe')).text).toBe('probe\n');
};

/** Writes text on a connection of its own and returns all that came back until the server closed it. */
async function converse(text: string | Buffer): Promise<string> {
  const connection = await connectRaw(server.port);
  connection.write(text);
  return connection.closed;
}

const statusOf = (answer: string): string => /^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 'none';
const codeOf = (answer: string): unknown =>
  (JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4) || '{}') as { code?: string }).code;

describe('the header', () => {
  test.each([
    ['1 MB in one field', `x-big: ${'x'.repeat(MIB)}\r\n`],
    ['1 MB in many fields', 'x-many: 1234567890\r\n'.repeat(MIB / 20)],
    ['40 KB', `x-big: ${'x'.repeat(40_000)}\r\n`],
  ])('%s is refused with 431', async (_what, fields) => {
    const answer = await converse(`GET /invoke/probe HTTP/1.1\r\nhost: f\r\n${fields}\r\n`);
    expect([statusOf(answer), codeOf(answer)]).toEqual(['431', 'request_header_too_large']);
    await expectNextWorks();
  });

  test('a path of 1 MB is refused', async () => {
    const answer = await converse(`GET /invoke/probe/${'x'.repeat(MIB)} HTTP/1.1\r\nhost: f\r\n\r\n`);
    expect(['431', '414']).toContain(statusOf(answer));
    await expectNextWorks();
  });

  test('20 KB reach the function', async () => {
    const answer = await server.invoke('probe/headers', { headers: { 'x-big': 'x'.repeat(20_000) } });
    expect(JSON.parse(answer.text).headers).toContainEqual(['x-big', 'x'.repeat(20_000)]);
  });

  test.each([
    ['no HTTP at all', 'hello\r\n\r\n'],
    ['binary', Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01])],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a version of its own', 'GET /invoke/probe HTTP/9.9\r\nhost: f\r\n\r\n'],
    ['no host', 'GET /invoke/probe HTTP/1.1\r\n\r\n'],
    ['a field without a colon', 'GET /invoke/probe HTTP/1.1\r\nhost: f\r\nnonsense\r\n\r\n'],
    ['a space before the colon', 'GET /invoke/probe HTTP/1.1\r\nhost: f\r\nx : y\r\n\r\n'],
    ['a zero byte in a value', 'GET /invoke/probe HTTP/1.1\r\nhost: f\r\nx: a\0b\r\n\r\n'],
    ['two lengths', 'POST /invoke/probe/echo HTTP/1.1\r\nhost: f\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab'],
    [
      'length and chunks',
      'POST /invoke/probe/echo HTTP/1.1\r\nhost: f\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['a negative length', 'POST /invoke/probe/echo HTTP/1.1\r\nhost: f\r\ncontent-length: -1\r\n\r\n'],
    ['a length that is no number', 'POST /invoke/probe/echo HTTP/1.1\r\nhost: f\r\ncontent-length: many\r\n\r\n'],
    ['an unknown transfer coding', 'POST /invoke/probe/echo HTTP/1.1\r\nhost: f\r\ntransfer-encoding: gzip\r\n\r\n'],
    ['a line feed alone', 'GET /invoke/probe HTTP/1.1\nhost: f\nx: y\n\n'],
  ])('%s is refused with 400, and the connection closed', async (_what, text) => {
    expect(statusOf(await converse(text))).toBe('400');
    await expectNextWorks();
  });

  test.each(['http://elsewhere.example/invoke/probe', '*', 'invoke/probe'])(
    'the target %s does not confuse the route',
    async (target) => {
      const answer = await converse(`GET ${target} HTTP/1.1\r\nhost: f\r\nconnection: close\r\n\r\n`);
      expect(['200', '400', '404']).toContain(statusOf(answer));
      await expectNextWorks();
    },
  );

  test('CONNECT and Upgrade open no tunnel', async () => {
    const connection = await connectRaw(server.port);
    connection.write('CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: f\r\n\r\n');
    expect(await connection.closed).not.toMatch(/^HTTP\/1.1 2/);
    const upgrade = await converse(
      'GET /invoke/probe HTTP/1.1\r\nhost: f\r\nconnection: upgrade, close\r\nupgrade: websocket\r\nsec-websocket-key: x\r\n\r\n',
    );
    expect(upgrade).not.toMatch(/^HTTP\/1.1 101/);
    await expectNextWorks();
  });
});

test.each(['a b', 'a/b', 'user@host', '[::1', 'host:port', 'a"b'])(
  'a Host that is none, %j, is refused',
  async (host) => {
    const answer = await server.invoke('probe', { headers: { host } });
    expect(problemOf(answer)).toMatchObject({ status: 400, code: 'request_invalid' });
    await expectNextWorks();
  },
);

describe('the body', () => {
  test('one that is announced too long is refused before it is sent', async () => {
    const connection = await connectRaw(server.port);
    connection.write(`POST /invoke/probe/upload HTTP/1.1\r\nhost: f\r\ncontent-length: ${MIB + 1}\r\n\r\n`);
    const answer = await connection.closed;
    expect([statusOf(answer), codeOf(answer)]).toEqual(['413', 'body_too_large']);
    await expectNextWorks();
  });

  test('one that turns out too long is refused, or cut where the function has answered already', async () => {
    const upload = await server.invoke('probe/upload', { method: 'POST', body: patternStream(8 * MIB) });
    expect(problemOf(upload)).toMatchObject({ status: 413, code: 'body_too_large' });
    const echo = await server.invoke('probe/echo', { method: 'POST', body: patternStream(8 * MIB) });
    expect(echo).toMatchObject({ status: 200, complete: false });
    expect((await server.log.invocation(echo.requestId)).outcome).toBe('body_too_large');
    await expectNextWorks();
  });

  test('one of exactly the limit is taken', async () => {
    const answer = await server.invoke('probe/upload', { body: Buffer.alloc(MIB) });
    expect(JSON.parse(answer.text)).toMatchObject({ bytes: MIB });
  });

  test('one cut short in the middle is logged as such, and the lane is free again', async () => {
    for (let index = 0; index < 20; index++) {
      const connection = await connectRaw(server.port);
      connection.write('POST /invoke/probe/upload HTTP/1.1\r\nhost: f\r\ncontent-length: 100000\r\n\r\npart of it');
      await server.get('/healthz');
      connection.reset();
    }
    await expectNextWorks();
    const cut = (): number =>
      server.log.lines.filter((line) => line.msg === 'invocation' && line['outcome'] === 'client_gone').length;
    await server.log.waitFor('all twenty', () => cut() >= 20);
  });

  test('a client that closes its side of the connection counts as gone', async () => {
    const seen = server.log.lines.length;
    const connection = await connectRaw(server.port);
    connection.socket.end('GET /invoke/probe/never HTTP/1.1\r\nhost: f\r\n\r\n');
    expect(await connection.closed).toBe('');
    // The line of an earlier request may come later than the connection's end.
    await server.log.waitFor(
      'its account',
      (candidate) => candidate['outcome'] === 'client_gone' && server.log.lines.indexOf(candidate) >= seen,
    );
    await expectNextWorks();
  });

  test('bad chunks cut the request', async () => {
    for (const chunks of ['zz\r\nabc\r\n', 'ffffffffffffffffff\r\n', '-1\r\n', '5\r\nabcdefgh\r\n']) {
      const answer = await converse(
        `POST /invoke/probe/upload HTTP/1.1\r\nhost: f\r\ntransfer-encoding: chunked\r\n\r\n${chunks}`,
      );
      expect([chunks, statusOf(answer)]).not.toEqual([chunks, '200']);
    }
    await expectNextWorks();
  });

  test('one that never comes ends with the time of the function', async () => {
    const connection = await connectRaw(server.port);
    connection.write('POST /invoke/probe/upload HTTP/1.1\r\nhost: f\r\ncontent-length: 10\r\n\r\n');
    const answer = await connection.closed;
    expect([statusOf(answer), codeOf(answer)]).toEqual(['504', 'wall_exceeded']);
    await expectNextWorks();
  });

  test('what is left of a refused body is not taken for a request', async () => {
    const hidden = 'GET /invoke/probe/status?code=299 HTTP/1.1\r\nhost: f\r\n\r\n';
    for (const path of ['nothing', '..', 'probe/trap', 'probe/ignore-body']) {
      const connection = await connectRaw(server.port);
      connection.write(`POST /invoke/${path} HTTP/1.1\r\nhost: f\r\ncontent-length: ${hidden.length}\r\n\r\n${hidden}`);
      connection.write('GET /healthz HTTP/1.1\r\nhost: f\r\nconnection: close\r\n\r\n');
      expect(await connection.closed).not.toContain(' 299 ');
    }
  });

  test('trailers of the request do no harm', async () => {
    const answer = await converse(
      'POST /invoke/probe/echo HTTP/1.1\r\nhost: f\r\nconnection: close\r\ntransfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n' +
        '3\r\nabc\r\n0\r\nx-t: 1\r\n\r\n',
    );
    expect(answer).toMatch(/200 OK[\s\S]*abc/);
  });
});

test('a thousand connections that send nothing do not keep others from being served', async () => {
  const silent = await Promise.all(Array.from({ length: 1000 }, () => connectRaw(server.port)));
  for (const [index, connection] of silent.entries()) {
    if (index % 2) connection.write('GET /invoke/probe HTTP/1.1\r\nhost: f\r\nx-never-ends: ');
  }
  for (let index = 0; index < 20; index++) await expectNextWorks();
  silent.forEach((connection: RawConnection) => connection.reset());
  await expectNextWorks();
});
