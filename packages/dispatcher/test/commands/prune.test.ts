import { mkdtempSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createFolderObjectStore } from '@playa/common/folder-object-store';
import { pruneMarkKey, versionKey } from '@playa/common/function-pointer';
import type { ObjectStore } from '@playa/common/object-store';
import { runCommand } from '../../src/commands/command.ts';
import { openFunctionBucket, presentVersion } from '../../src/commands/function-bucket.ts';
import { PRUNE } from '../../src/commands/prune.ts';
import { REMOVE } from '../../src/commands/remove.ts';
import { ROLLBACK } from '../../src/commands/rollback.ts';
import { removeUnreferenced } from '../../src/commands/unreferenced-artifacts.ts';
import { createRandom } from '../random.ts';

let folder: string;
let store: ObjectStore;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'playa-prune-'));
  store = createFolderObjectStore(folder);
});
afterEach(() => rmSync(folder, { recursive: true }));

const ROUNDS = 80;

const digestOf = (version: number): string => String(version).repeat(64);
const contentOf = (version: number): Buffer => Buffer.from(`artifact ${version}`);

/** As `playa deploy` does it. */
async function deploy(bucket: ObjectStore, name: string, version: number): Promise<void> {
  const functions = openFunctionBucket(bucket);
  const sha256 = digestOf(version);
  await functions.keep(sha256, contentOf(version));
  await functions.change(name, async (present) =>
    present?.present.sha256 === sha256 ? undefined : presentVersion(present, { sha256, deployedAt: 'now' }),
  );
  await functions.settle(sha256, contentOf(version));
}

/** The commands themselves, over the folder. */
async function run(command: typeof PRUNE, ...args: string[]): Promise<number> {
  const terminal = { env: { PLAYA_BUCKET: folder }, stdout: { write: () => true }, stderr: { write: () => true } };
  return runCommand(command, args, terminal);
}

const hasArtifact = async (version: number): Promise<boolean> =>
  (await store.head(versionKey(digestOf(version)))) !== undefined;

/**
 * Hands the folder to two users whose operations come one by one, those of the first with a likelihood of `percent`. Neither has to wait for one that is done.
 */
function inTurn(random: (below: number) => number, percent: number) {
  const waiting: { user: number; begin: () => void }[] = [];
  const done = new Set<number>();
  let busy = false;
  let chosen: number | undefined;
  const next = (): void => {
    if (busy || waiting.length === 0) return;
    chosen ??= random(100) < percent ? 0 : 1;
    if (done.has(chosen)) chosen = 1 - chosen;
    const at = waiting.findIndex(({ user }) => user === chosen);
    // Whose turn it is does something else at the moment.
    if (at === -1) return void setImmediate(next);
    busy = true;
    chosen = undefined;
    waiting.splice(at, 1)[0]!.begin();
  };
  const step = async <T>(user: number, operation: () => Promise<T>): Promise<T> => {
    await new Promise<void>((begin) => {
      waiting.push({ user, begin });
      setImmediate(next);
    });
    try {
      return await operation();
    } finally {
      busy = false;
      setImmediate(next);
    }
  };
  return {
    of: (user: number): ObjectStore => ({
      ...store,
      get: (...args) => step(user, () => store.get(...args)),
      head: (...args) => step(user, () => store.head(...args)),
      put: (...args) => step(user, () => store.put(...args)),
      delete: (...args) => step(user, () => store.delete(...args)),
    }),
    done: (user: number): void => void done.add(user),
  };
}

test('whatever happens at once, what is present is there', async () => {
  const random = createRandom(5);
  const pick = <T>(items: readonly T[]): T => items[random(items.length)]!;
  let checked = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const actions = [
      ...[1, 2, 3].map((version) => () => deploy(store, pick(['f', 'g']), version)),
      () => run(PRUNE, '--keep', '0'),
      () => run(PRUNE, 'f', '--keep', '1'),
      () => run(PRUNE, '--keep', '0', '--forget-removed'),
      () => run(ROLLBACK, 'f'),
      () => run(REMOVE, 'g'),
      () => run(ROLLBACK, 'g'),
    ];
    await Promise.all(Array.from({ length: 5 }, () => pick(actions)()));
    for (const name of ['f', 'g']) {
      const present = (await openFunctionBucket(store).read(name))?.pointer?.present.sha256;
      if (present === undefined) continue;
      expect(await store.head(versionKey(present)), `round ${round}`).toBeDefined();
      checked++;
    }
  }
  expect(checked).toBeGreaterThan(ROUNDS);
});

test('an earlier version that is deployed again while it is pruned is there, whichever comes first at each step', async () => {
  const random = createRandom(6);
  let removedFirst = 0;
  for (let round = 0; round < ROUNDS; round++) {
    await deploy(store, 'f', 1);
    await deploy(store, 'f', 2);
    // From a deployment that is over before the other has begun to the reverse.
    const turns = inTurn(random, 100 * (round / ROUNDS));
    const pruned = turns.of(0);
    const functions = openFunctionBucket(pruned);
    const prune = async (): Promise<void> => {
      await functions.change('f', async (present) => present && { ...present, previous: [] });
      const { artifacts } = await removeUnreferenced(pruned, functions, [digestOf(1)], false);
      removedFirst += artifacts.length;
    };
    const users = [prune(), deploy(turns.of(1), 'g', 1)];
    await Promise.all(users.map((user, index) => user.finally(() => turns.done(index))));
    expect(await hasArtifact(1), `round ${round}`).toBe(true);
    expect(await hasArtifact(2), `round ${round}`).toBe(true);
    expect(await store.head(pruneMarkKey(digestOf(1)))).toBeUndefined();
    await store.delete('f.cwasm');
    await store.delete('g.cwasm');
  }
  // Both orders came.
  expect(removedFirst).toBeGreaterThan(5);
  expect(removedFirst).toBeLessThan(ROUNDS - 5);
});

test('who names an artifact that is being removed waits, and puts it back', async () => {
  await deploy(store, 'f', 1);
  await deploy(store, 'f', 2);
  const mark = pruneMarkKey(digestOf(1));
  await store.put(mark, Buffer.from('{}'));
  let over = false;
  const again = deploy(store, 'f', 1).then(() => (over = true));
  await expect.poll(async () => (await openFunctionBucket(store).read('f'))?.pointer?.present.sha256).toBe(digestOf(1));
  // It was looked at before it was named.
  await store.delete(versionKey(digestOf(1)));
  expect(over).toBe(false);
  await store.delete(mark);
  await again;
  expect(await hasArtifact(1)).toBe(true);
});

test('what somebody else is removing is left to them, and what they left when they were killed is taken over', async () => {
  const functions = openFunctionBucket(store);
  await functions.keep(digestOf(1), contentOf(1));
  const mark = pruneMarkKey(digestOf(1));
  await store.put(mark, Buffer.from('{}'));
  expect(await removeUnreferenced(store, functions, [digestOf(1)], false)).toEqual({ artifacts: [], bytes: 0 });
  expect([await hasArtifact(1), await store.head(mark)]).toEqual([true, expect.anything()]);
  utimesSync(join(folder, mark), 1, 1);
  expect((await removeUnreferenced(store, functions, [digestOf(1)], false)).artifacts).toEqual([digestOf(1)]);
  expect([await hasArtifact(1), await store.head(mark)]).toEqual([false, undefined]);
});
