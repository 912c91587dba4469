import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildEnvironment } from '../../test/harness/artifacts.ts';
import { PROJECT } from '../../test/harness/project.ts';
import { makeTemporaryFolder } from '../../test/harness/temporary-folder.ts';
import { makeBucket, type TestBucket } from '../../test/harness/test-bucket.ts';
import { startServer, type TestServer } from '../../test/harness/test-server.ts';

const NAMES = ['echo', 'hello', 'hono'];
// Kept between runs: an example is built again only when something that it is made of has changed.
const OUTPUT = join(PROJECT.cache, 'examples');

async function buildExamples(): Promise<string> {
  const { stderr } = await promisify(execFile)(PROJECT.node, [join(PROJECT.examples, 'build.ts'), '--out', OUTPUT], {
    env: buildEnvironment(),
  });
  return stderr;
}

let bucket: TestBucket;
let server: TestServer;

beforeAll(async () => {
  await buildExamples();
  bucket = makeBucket(Object.fromEntries(NAMES.map((name) => [name, join(OUTPUT, `${name}.cwasm`)])));
  server = await startServer(bucket.path);
}, 600_000);

afterAll(async () => {
  await server.stop();
  await server.dispose();
  bucket.remove();
});

test('examples whose sources are unchanged are not built again', async () => {
  const lines = (await buildExamples()).trim().split('\n');
  expect(lines).toEqual(NAMES.map((name, index) => `${name} (${index + 1} of 3): up to date`));
});

test('hello greets', async () => {
  const answer = await server.invoke('hello.cwasm/some/where?a=1');
  expect([answer.status, answer.text]).toEqual([200, 'Hello, world! You asked for /some/where\n']);
});

describe('hono', () => {
  test.each([
    ['/notes/7', 200, '{"id":7,"text":"This is note 7."}'],
    ['/notes/x', 404, '404 Not Found'],
    ['/greet/Ada?times=2', 200, 'Hello, Ada!\nHello, Ada!\n'],
    ['/count', 200, '1\n2\n3\n'],
  ])('%s answers %i', async (path, status, text) => {
    const answer = await server.invoke(`hono.cwasm${path}`);
    expect([answer.status, answer.text]).toEqual([status, text]);
  });

  test('has its middleware', async () => {
    const first = await server.invoke('hono.cwasm/notes/7', { headers: { origin: 'http://a.example' } });
    expect(first.headers['access-control-allow-origin']).toBe('*');
    const again = await server.invoke('hono.cwasm/notes/7', { headers: { 'if-none-match': first.headers['etag']! } });
    expect([again.status, again.text]).toEqual([304, '']);
  });

  test.each([
    ['{"numbers":[1,2.5]}', 200, '{"sum":3.5}'],
    ['{"numbers":["a"]}', 400, 'expected {"numbers": [ … ]}'],
    ['no JSON', 500, 'Something went wrong.\n'],
  ])('adds up %s', async (body, status, text) => {
    const headers = { 'content-type': 'application/json' };
    const answer = await server.invoke('hono.cwasm/sum', { method: 'POST', body, headers });
    expect([answer.status, answer.text]).toEqual([status, text]);
  });
});

describe('echo', () => {
  test('gives a body back as it came', async () => {
    const body = createHash('shake256', { outputLength: 2_000_000 }).update('seed').digest();
    const answer = await server.invoke('echo.cwasm', { method: 'POST', body, headers: { 'content-type': 'x/y' } });
    expect(answer.headers['content-type']).toBe('x/y');
    expect(answer.body.equals(body)).toBe(true);
  });

  test.each([0, 1, 4_096, 1_000_001])('streams %i bytes', async (bytes) => {
    const { body, complete } = await server.invoke(`echo.cwasm/stream?bytes=${bytes}`);
    expect([body.length, complete]).toEqual([bytes, true]);
    expect(body.every((byte, index) => byte === 97 + ((index % 4_096) % 26))).toBe(true);
  });

  test.each(['', '?bytes=', '?bytes=-1', '?bytes=x', '?bytes=99999999999999999999', '?other=1'])(
    'refuses %s as a number of bytes',
    async (query) => {
      expect((await server.invoke(`echo.cwasm/stream${query}`)).status).toBe(400);
    },
  );
});

describe('echo.wasm', () => {
  const checkedIn = join(PROJECT.examples, 'echo/echo.wasm');

  test('tells nothing of the machine that built it', () => {
    const text = readFileSync(checkedIn, 'latin1');
    expect(text.match(/\/(?:root|home|work|tmp|Users)\/[\w./-]*/g)).toBeNull();
  });

  test('is what its source builds', async (context) => {
    const missing = missingToolchain();
    // Another compiler, or none for this target, builds other bytes from the same source: nothing can be said then.
    if (missing !== undefined) context.skip(missing);
    const folder = makeTemporaryFolder('echo');
    try {
      const rebuilt = join(folder.path, 'echo.wasm');
      await promisify(execFile)(join(PROJECT.examples, 'echo/build.sh'), [rebuilt]);
      expect(digestOf(rebuilt)).toBe(digestOf(checkedIn));
    } finally {
      folder.remove();
    }
  });
});

/** Why echo.wasm cannot be rebuilt to the same bytes here, or undefined when it can. */
function missingToolchain(): string | undefined {
  const builtWith = readFileSync(join(PROJECT.examples, 'echo/rustc-version'), 'utf8').trim();
  try {
    const version = execFileSync('rustc', ['--version'], {
      cwd: join(PROJECT.examples, 'echo'),
      encoding: 'utf8',
    }).trim();
    if (version !== builtWith) return `echo.wasm was built with ${builtWith}, here is ${version}`;
    const library = execFileSync('rustc', ['--print', 'target-libdir', '--target', 'wasm32-wasip2'], {
      encoding: 'utf8',
    });
    return existsSync(library.trim()) ? undefined : 'the target wasm32-wasip2 is not installed';
  } catch {
    return 'there is no rustc';
  }
}

function digestOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
