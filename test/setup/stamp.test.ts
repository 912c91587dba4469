import { chmod, mkdir, mkdtemp, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fingerprint } from '../../setup/lib/fingerprint.mjs';
import { isStamped, leaveStamp, removeStamp } from '../../setup/lib/stamp.mjs';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'stamp-test-'));
  await mkdir(join(folder, 'src/deep'), { recursive: true });
  await writeFile(join(folder, 'src/a'), 'one');
  await writeFile(join(folder, 'src/deep/b'), 'two');
});
afterEach(() => rm(folder, { recursive: true }));

describe('fingerprint', () => {
  const take = (): string => fingerprint(folder, ['src', 'absent'], ['1.0']);

  test('is the same as long as nothing changed, whenever it was written', async () => {
    const before = take();
    await utimes(join(folder, 'src/a'), 1, 1);
    expect(take()).toBe(before);
  });

  test.each<[string, () => Promise<void>]>([
    ['content', () => writeFile(join(folder, 'src/deep/b'), 'three')],
    ['a name', () => rename(join(folder, 'src/a'), join(folder, 'src/c'))],
    ['a new file', () => writeFile(join(folder, 'src/new'), '')],
    ['a deleted file', () => rm(join(folder, 'src/a'))],
    ['a link', () => symlink('a', join(folder, 'src/link'))],
    ['a file that was absent', () => writeFile(join(folder, 'absent'), '')],
    [
      'content that moved to the next file',
      async () => {
        await writeFile(join(folder, 'src/a'), 'onesrc/deep/btw');
        await writeFile(join(folder, 'src/deep/b'), 'o');
      },
    ],
  ])('changes with %s', async (_name, change) => {
    const before = take();
    await change();
    expect(take()).not.toBe(before);
  });

  test('changes with a fact', () => {
    expect(fingerprint(folder, ['src'], ['1.0'])).not.toBe(fingerprint(folder, ['src'], ['1.1']));
  });

  test.each(['node_modules', 'target', 'dist'])('passes over %s, which holds results', async (name) => {
    const before = take();
    await mkdir(join(folder, 'src', name));
    await writeFile(join(folder, 'src', name, 'file'), '');
    expect(take()).toBe(before);
  });
});

describe('a stamp', () => {
  const file = (): string => join(folder, 'stamps/step.json');
  const output = (): string => join(folder, 'src/a');

  test('holds for the same inputs and outputs', () => {
    expect(isStamped(file(), 'inputs')).toBe(false);
    leaveStamp(file(), 'inputs', [output()]);
    expect(isStamped(file(), 'inputs')).toBe(true);
    expect(isStamped(file(), 'other inputs')).toBe(false);
  });

  test.each<[string, () => Promise<void>]>([
    ['is deleted', () => rm(output())],
    ['has another size', () => writeFile(output(), 'longer')],
    ['was written again', () => utimes(output(), 5, 5)],
    ['is a link that leads nowhere', () => rm(output()).then(() => symlink('nowhere', output()))],
  ])('does not hold when an output %s', async (_name, change) => {
    leaveStamp(file(), 'inputs', [output()]);
    await change();
    expect(isStamped(file(), 'inputs')).toBe(false);
  });

  test.each(['', '{', 'null', '[]', '{"inputs":"inputs"}', '{"inputs":"inputs","outputs":null}'])(
    'that is damaged does not hold: %s',
    async (text) => {
      leaveStamp(file(), 'inputs', []);
      await writeFile(file(), text);
      expect(isStamped(file(), 'inputs')).toBe(false);
    },
  );

  test('does not hold after it was removed', () => {
    leaveStamp(file(), 'inputs', []);
    removeStamp(file());
    expect(isStamped(file(), 'inputs')).toBe(false);
  });

  test('of a change of mode only holds', async () => {
    leaveStamp(file(), 'inputs', [output()]);
    await chmod(output(), 0o600);
    expect(isStamped(file(), 'inputs')).toBe(true);
  });
});
