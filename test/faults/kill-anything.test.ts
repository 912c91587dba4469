import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { processesByKind, type ProcessKind } from '../harness/kinds-of-process.ts';
import { listUsersOf, readCommandLine, type ProcessEntry } from '../harness/process-tree.ts';
import { createRandom, type SeededRandom } from '../harness/random.ts';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';
import { waitUntil } from '../harness/wait-until.ts';

/** `PLAYA_FAULT_SEED` runs the rounds of another seed; it stands in the names of the tests. */
const SEED = Number(process.env['PLAYA_FAULT_SEED'] ?? 20_261_121);
const ROUNDS = Number(process.env['PLAYA_FAULT_ROUNDS'] ?? 4);
const CLIENTS = 6;
const PATHS = [
  'probe',
  'other/echo',
  'probe/stream?chunks=5&delayMs=2',
  'third',
  'other/download?bytes=2000000',
  'command',
];
const ISOLATIONS = ['process', 'instance', 'sandbox'];
/** What a request may end with while processes are being killed. */
const EXPECTED_STATUSES = [200, 502, 503];

let bucket: TestBucket;

beforeAll(async () => {
  const probe = await buildGuest('probe');
  bucket = makeBucket({
    probe,
    other: probe,
    third: await buildGuest('probe-0-3'),
    command: await buildGuest('command-module'),
  });
});

afterAll(() => bucket.remove());

/** Clients that send one request after another until they are told to stop. Resolves with the statuses; 0 stands for a lost connection. */
function startLoad(server: TestServer, random: SeededRandom): { stop: () => Promise<number[]> } {
  let stopped = false;
  const statuses: number[] = [];
  const run = async (): Promise<void> => {
    while (!stopped) {
      const answer = await server.invoke(random.pick(PATHS)).catch(() => undefined);
      statuses.push(answer?.status ?? 0);
      // A server that is gone refuses at once; do not spin.
      if (answer === undefined) return;
    }
  };
  const clients = Promise.all(Array.from({ length: CLIENTS }, run));
  return {
    stop: async () => {
      stopped = true;
      await clients;
      return statuses;
    },
  };
}

/** Waits until so many invocations have been accounted for: a moment that is random and yet the same for the same seed. */
async function afterInvocations(server: TestServer, count: number): Promise<void> {
  let seen = 0;
  await server.log.waitFor(`${count} invocations`, (line) => line.msg === 'invocation' && ++seen >= count);
}

const foldersOfSandboxes = (state: string): string[] => {
  const runs = readdirSync(join(state, 'run'));
  return runs.flatMap((run) =>
    readdirSync(join(state, 'run', run)).flatMap((generation) => readdirSync(join(state, 'run', run, generation))),
  );
};

describe.each(Array.from({ length: ROUNDS }, (_, round) => SEED + round))('seed %i', (seed) => {
  test('the dispatcher is killed: everything ends, and the next one cleans up', async () => {
    const random = createRandom(seed);
    const isolation = random.pick(ISOLATIONS);
    const folder = makeTemporaryFolder('killed');
    const server = await startServer(bucket.path, { isolation, 'pool-size': 1 + random.below(6) }, folder.path);
    const load = startLoad(server, random);
    await afterInvocations(server, 1 + random.below(60));
    server.signal('SIGKILL');
    expect(await server.ended).toEqual({ code: null, signal: 'SIGKILL' });
    await load.stop();
    await server.expectNothingLeft();
    expect(foldersOfSandboxes(server.stateFolder)).toEqual([]);
    const next = await startServer(bucket.path, { isolation }, folder.path);
    expect((await next.invoke('probe')).text).toBe('probe\n');
    expect(readdirSync(join(next.stateFolder, 'run'))).toHaveLength(1);
    await next.stop();
    folder.remove();
  });

  test('dispatcher and spawner are killed together: the runners end by themselves', async () => {
    const random = createRandom(seed * 3);
    const folder = makeTemporaryFolder('killed');
    const server = await startServer(bucket.path, { isolation: random.pick(ISOLATIONS) }, folder.path);
    const load = startLoad(server, random);
    await afterInvocations(server, 1 + random.below(60));
    const { spawner } = processesByKind(server);
    server.signal('SIGKILL');
    process.kill(spawner[0]!.pid, 'SIGKILL');
    await server.ended;
    await load.stop();
    // A sandbox that was just being set up may be stuck half way, with nobody left to end it: the next server does.
    const next = await startServer(bucket.path, {}, folder.path);
    expect((await next.invoke('probe')).status).toBe(200);
    const [run, ...others] = readdirSync(join(next.stateFolder, 'run'));
    expect(others).toEqual([]);
    const isOfOld = ({ pid }: ProcessEntry): boolean => pid !== next.pid && !readCommandLine(pid).includes(run!);
    await waitUntil('the old sandboxes are gone', () => {
      const own = new Set(next.processes().map(({ pid }) => pid));
      return listUsersOf(folder.path).some((entry) => !own.has(entry.pid) && isOfOld(entry)) ? undefined : true;
    });
    await next.stop();
    folder.remove();
  });

  test('anything else is killed, again and again: the server serves on and stops cleanly', async () => {
    const random = createRandom(seed * 7);
    const isolation = random.pick(ISOLATIONS);
    const server = await startServer(bucket.path, { isolation, 'pool-size': 2 });
    const load = startLoad(server, random);
    let invocations = 0;
    for (let kills = 0; kills < 6; kills++) {
      invocations += 1 + random.below(40);
      await afterInvocations(server, invocations);
      const kind = random.pick<ProcessKind>(['spawner', 'bubblewrap', 'init', 'supervisor', 'worker', 'worker']);
      const candidates = processesByKind(server)[kind];
      // There may be none just now; then another kind has its turn.
      if (candidates.length === 0) continue;
      try {
        process.kill(random.pick(candidates).pid, 'SIGKILL');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
    const statuses = await load.stop();
    expect(statuses.filter((status) => !EXPECTED_STATUSES.includes(status))).toEqual([]);
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThan(0);
    for (const path of ['probe', 'other', 'third', 'command']) {
      expect([path, (await server.invoke(path)).status]).toEqual([path, 200]);
    }
    await server.stop();
  });
});
