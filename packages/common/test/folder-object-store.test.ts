import { chmodSync, existsSync, mkdirSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFolderObjectStore } from '@playa/common/folder-object-store';
import type { ObjectStore } from '@playa/common/object-store';
import { makeTemporaryFolder } from '../../../test/harness/temporary-folder.ts';
import { describeObjectStoreContract } from '../../../test/stores/object-store-contract.ts';

/** A user id that owns nothing. */
const NOBODY = 65_534;

describeObjectStoreContract('folder', async () => {
  const folder = makeTemporaryFolder('folder-store');
  return {
    store: createFolderObjectStore(join(folder.path, 'bucket')),
    keepsLabels: false,
    close: async () => folder.remove(),
  };
});

describe('folder', () => {
  let folder: ReturnType<typeof makeTemporaryFolder>;
  let store: ObjectStore;
  beforeEach(() => {
    folder = makeTemporaryFolder('folder-store');
    store = createFolderObjectStore(folder.path);
  });
  afterEach(() => folder.remove());
  const path = (key: string): string => join(folder.path, key);

  test('nothing is left beside what was written, also where a condition failed', async () => {
    await store.put('a', Buffer.from('x'));
    await store.put('a', Buffer.from('y'), { ifNoneMatch: '*' }).catch(() => {});
    expect(readdirSync(folder.path)).toEqual(['a']);
  });

  test('what a process that died has left is no object and holds nobody up', async () => {
    writeFileSync(path('.a.0123456789abcdef.partial'), 'half');
    writeFileSync(path('.a.lock'), '');
    const longAgo = new Date(Date.now() - 60_000);
    utimesSync(path('.a.lock'), longAgo, longAgo);
    await store.put('a', Buffer.from('x'));
    const keys = [];
    for await (const { key } of store.list('')) keys.push(key);
    expect(keys).toEqual(['a']);
    expect(existsSync(path('.a.lock'))).toBe(false);
  });

  test('links to files are objects, links to folders are not followed by lists', async () => {
    writeFileSync(path('a'), 'x');
    symlinkSync('a', path('link'));
    symlinkSync('.', path('round'));
    symlinkSync('nowhere', path('broken'));
    const keys = [];
    for await (const { key } of store.list('')) keys.push(key);
    expect(keys).toEqual(['a', 'link']);
  });

  test('a folder where the object should be, and a file where its folder should be, are invalid to write', async () => {
    mkdirSync(path('folder'));
    writeFileSync(path('file'), 'x');
    await expect(store.put('folder', Buffer.from('x'))).rejects.toMatchObject({ code: 'invalid' });
    await expect(store.put('file/below', Buffer.from('x'))).rejects.toMatchObject({ code: 'invalid' });
    expect(readdirSync(folder.path).toSorted()).toEqual(['file', 'folder']);
  });

  test('a file that is cut off while it is read is unavailable, not shorter', async () => {
    writeFileSync(path('a'), Buffer.alloc(8 * 1024 * 1024));
    const content = await store.get('a');
    if (content === undefined || content === 'not_modified') throw new Error('missing');
    await truncate(path('a'), 1024);
    const reading = (async () => {
      for await (const _ of content.body);
    })();
    await expect(reading).rejects.toMatchObject({ name: 'ObjectStoreError', code: 'unavailable' });
  });

  test('what may not be read is denied, not missing', async () => {
    writeFileSync(path('a'), 'x');
    chmodSync(path('a'), 0);
    chmodSync(folder.path, 0o711);
    const user = process.geteuid!();
    // No file's mode keeps root out.
    if (user === 0) process.seteuid!(NOBODY);
    try {
      await expect(store.get('a')).rejects.toMatchObject({ code: 'access_denied' });
    } finally {
      if (user === 0) process.seteuid!(user);
    }
  });
});
