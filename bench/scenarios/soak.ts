import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchOptions, ScenarioResult } from '../main.ts';
import { formatTable } from '../report/table.ts';
import { buildGuest } from '../../test/harness/artifacts.ts';
import { readResidentBytes } from '../../test/harness/process-tree.ts';
import { makeBucket } from '../../test/harness/test-bucket.ts';
import { startServer, type TestServer } from '../../test/harness/test-server.ts';
import { waitUntil } from '../../test/harness/wait-until.ts';

const WALL_MS = 1000;
const IDLE_MS = 1000;
const POOL_SIZE = 2;
const ISOLATIONS = ['instance', 'process', 'sandbox'] as const;
/** What the hostile functions do, each in a random order. */
const ATTACKS = [
  '/loop',
  '/trap',
  '/memory',
  '/table?count=10000000',
  '/recurse',
  '/never',
  '/silent',
  '/exit?code=1',
  '/headers-flood?bytes=10000000',
  '/log?text=x&bytes=1000000',
  '/answer-then-never?bytes=1',
  '/answer-then-trap?bytes=10',
  '/stream?chunks=100000&size=1&delayMs=20',
  '/connect?address=127.0.0.1:1',
  '/file?path=/etc/passwd',
];
/** Of resident memory in the second half. */
const MAX_GROWTH = 1.2;
const HONEST_WIDTH = 2;
const HOSTILE_WIDTH = 2;

/** What a server holds, to be compared before, halfway and after. */
type Holdings = { processes: number; fileDescriptors: number; files: number; residentMib: number };

/**
 * Honest functions in all isolations beside hostile ones for a while: no honest request may fail, and nothing may be left.
 * The whole lasts `rounds` × `seconds`.
 */
export async function runSoak({ rounds, seconds }: BenchOptions): Promise<ScenarioResult> {
  const probe = await buildGuest('probe');
  const names = ISOLATIONS.flatMap((isolation) => [`honest-${isolation}`, `hostile-${isolation}`]);
  const bucket = makeBucket(Object.fromEntries(names.map((name) => [name, probe])));
  for (const isolation of ISOLATIONS) {
    for (const kind of ['honest', 'hostile']) {
      writeFileSync(join(bucket.path, `${kind}-${isolation}.toml`), `isolation = "${isolation}"\n`);
    }
  }
  const server = await startServer(bucket.path, {
    'wall-ms': WALL_MS,
    'runner-idle-ms': IDLE_MS,
    'pool-size': POOL_SIZE,
  });
  // Everything that is loaded and kept on first use is there before it is counted.
  for (const name of names) await server.invoke(name);
  const before = await settle(server);

  const honest = new Map<string, number>();
  const hostile = new Map<string, number>();
  const load = async (): Promise<Holdings> => {
    const endMs = performance.now() + (rounds * seconds * 1000) / 2;
    await Promise.all(
      ISOLATIONS.flatMap((isolation) => [
        ...Array.from({ length: HONEST_WIDTH }, () => repeat(server, `honest-${isolation}`, () => '', endMs, honest)),
        ...Array.from({ length: HOSTILE_WIDTH }, () =>
          repeat(server, `hostile-${isolation}`, pickAttack, endMs, hostile),
        ),
      ]),
    );
    return settle(server);
  };
  // In halves: a heap grows to what its garbage collector finds convenient, a leak goes on.
  const halfway = await load();
  const after = await load();
  await server.stop();
  bucket.remove();

  const failed = [...honest].filter(([status]) => status !== '200').reduce((sum, [, count]) => sum + count, 0);
  const nothingLeft =
    after.processes <= before.processes &&
    after.fileDescriptors <= before.fileDescriptors &&
    after.files <= before.files &&
    after.residentMib <= halfway.residentMib * MAX_GROWTH;
  const rows = (Object.keys(before) as (keyof Holdings)[]).map((what) => [
    what,
    String(before[what]),
    String(halfway[what]),
    String(after[what]),
  ]);
  const text = [
    `${rounds * seconds} s of mixed load`,
    `honest requests by status: ${describe(honest)}; ${failed} failed`,
    `hostile requests by status: ${describe(hostile)}`,
    formatTable(['the server holds', 'before', 'halfway', 'after'], rows),
    'after it was stopped: no process, mount or run folder of it is left',
  ].join('\n');
  return { text, measurements: [], floorsHold: failed === 0 && nothingLeft };
}

async function repeat(
  server: TestServer,
  name: string,
  path: () => string,
  endMs: number,
  seen: Map<string, number>,
): Promise<void> {
  while (performance.now() < endMs) {
    const status = await server.invoke(`${name}${path()}`).then(
      (answer) => (answer.complete ? String(answer.status) : 'cut'),
      (error: NodeJS.ErrnoException) => error.code ?? error.message,
    );
    seen.set(status, (seen.get(status) ?? 0) + 1);
  }
}

function pickAttack(): string {
  return ATTACKS[Math.floor(Math.random() * ATTACKS.length)]!;
}

/** Waits until only the pool's sandboxes are there, and counts. */
async function settle(server: TestServer): Promise<Holdings> {
  const runners = (): number => server.processes().filter(({ name }) => name === 'runner').length;
  await waitUntil(
    'the functions’ sandboxes have ended',
    async () => {
      const full = (await server.get('/readyz')).text.includes(`${POOL_SIZE} waiting`);
      // One pool for sandboxes that serve once, one for those that serve many.
      return full && runners() === 2 * POOL_SIZE ? true : undefined;
    },
    () => `${runners()} runners`,
  );
  return {
    processes: server.processes().length,
    fileDescriptors: readdirSync(`/proc/${server.pid}/fd`).length,
    files: readdirSync(server.stateFolder, { recursive: true }).length,
    residentMib: Math.round(readResidentBytes(server.pid) / 1024 ** 2),
  };
}

function describe(seen: Map<string, number>): string {
  return [...seen]
    .toSorted()
    .map(([status, count]) => `${status}: ${count}`)
    .join(', ');
}
