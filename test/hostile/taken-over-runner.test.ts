import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { problemOf } from '../harness/http-client.ts';
import { hostileRunnerFile, weakenedRunnerFile } from '../harness/project.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';

/** What a hostile runner says of an attack. */
type Verdict = { attack: string; held: boolean; detail: string };

/** How long nothing of the tests takes; a runner that has gone silent is given up by the wall clock. */
const WALL_MS = 2_000;

let bucket: TestBucket;
let server: TestServer;
let stop: () => Promise<void>;

beforeAll(async () => {
  bucket = makeBucket({ taken: await buildGuest('probe') });
  server = await startServer(bucket.path, { runner: hostileRunnerFile(), 'wall-ms': WALL_MS, 'memory-bytes': '64m' });
  stop = () => server.stop();
});

afterAll(async () => {
  await stop();
  bucket.remove();
});

async function attack(where: TestServer, name: string): Promise<Verdict> {
  return JSON.parse((await where.invoke(`taken/${name}`)).text) as Verdict;
}

async function list(where: TestServer): Promise<{ attacks: string[]; frames: string[] }> {
  return JSON.parse((await where.invoke('taken')).text) as { attacks: string[]; frames: string[] };
}

describe('a worker that was taken over', () => {
  test('is held by the sandbox, whatever it tries', async () => {
    const { attacks } = await list(server);
    expect(attacks.length).toBeGreaterThan(60);
    const verdicts: Verdict[] = [];
    for (const name of attacks) verdicts.push(await attack(server, name));
    expect(verdicts.filter(({ held }) => !held)).toEqual([]);
    expect(verdicts.map((verdict) => verdict.attack)).toEqual(attacks);
  });

  test.each([
    'socket-inet',
    'socket-unix',
    'socket-vsock',
    'execve',
    'fork',
    'ptrace-parent',
    'read-sibling',
    'kill-parent',
    'unshare-user',
    'mount',
    'io-uring',
    'keyctl',
    'bpf',
    'userfaultfd',
    'memfd',
    'open-etc-passwd',
    'prctl-pdeathsig',
    'execute-memory',
    'raise-limit',
  ])('%s ends the process by a signal of its own', async (name) => {
    expect(await attack(server, name)).toEqual({ attack: name, held: true, detail: 'SIGSYS' });
  });

  test.each([
    ['fd-exhaustion', 'EMFILE'],
    ['memory-bomb', 'ENOMEM'],
    ['control-socket', 'EBADF'],
    ['other-lanes', 'EBADF'],
  ])('%s ends with %s', async (name, detail) => {
    expect(await attack(server, name)).toEqual({ attack: name, held: true, detail });
  });
});

describe('a runner that writes what the protocol forbids', () => {
  test('is ended, and the dispatcher serves on', async () => {
    const { frames } = await list(server);
    expect(frames.length).toBeGreaterThan(25);
    const accepted: string[] = [];
    const runnerOf = async (requestId: string) => (await server.log.invocation(requestId)).runner;
    for (const name of [...frames, 'half']) {
      const answer = await server.invoke(`taken/frames/${name}`).catch((error: Error) => error);
      // A well-formed head may have been passed on before the forgery was seen; then the connection is cut.
      const cut = answer instanceof Error || !answer.complete || answer.status >= 500;
      if (!cut) accepted.push(name);
      const next = await server.invoke('taken');
      expect(JSON.parse(next.text)).toMatchObject({ frames });
      if (!(answer instanceof Error)) {
        expect([name, await runnerOf(next.requestId)]).not.toEqual([name, await runnerOf(answer.requestId)]);
      }
      expect(JSON.stringify(answer)).not.toContain('taken=1');
    }
    // Its answer was complete before the second END was seen.
    expect(accepted).toEqual(['end-twice']);
  });

  test('and an account that cannot be true is cut to what can', async () => {
    const { requestId } = await server.invoke('taken/boast');
    const account = await server.log.invocation(requestId);
    expect(account).toMatchObject({ outcome: 'ok', fuel: 20_000_000_000, memoryBytes: 64 * 1024 * 1024 });
    expect(account['guestUs']).toBeLessThanOrEqual(WALL_MS * 1000 + 1_000_000);
    expect(account['guestCpuUs']).toBeLessThanOrEqual(11_000_000);
  });

  test('and one that ends is named', async () => {
    const problem = problemOf(await server.invoke('taken/exit'));
    expect(problem).toMatchObject({ status: 502, code: 'runner_crashed' });
    expect((await server.get('/healthz')).status).toBe(200);
  });
});

describe.runIf(existsSync(weakenedRunnerFile()))('a runner without its filters', () => {
  test('is noticed: some attacks are not held', async () => {
    const weakened = await startServer(bucket.path, { runner: weakenedRunnerFile(), 'wall-ms': WALL_MS });
    try {
      for (const name of [
        'execve',
        'fork',
        'kill-parent',
        'kill-sibling',
        'memfd',
        'execute-memory',
        'prctl-pdeathsig',
      ]) {
        expect(await attack(weakened, name)).toMatchObject({ attack: name, held: false });
      }
      // What bubblewrap and its filter hold off, they hold off alone.
      for (const name of ['socket-inet', 'mount', 'unshare-user', 'ptrace-parent', 'open-etc-passwd', 'write-root']) {
        expect(await attack(weakened, name)).toMatchObject({ attack: name, held: true });
      }
    } finally {
      await weakened.stop();
    }
  });
});
