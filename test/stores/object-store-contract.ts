import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ObjectContent, ObjectStore } from '@playa/common/object-store';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';

/** A store to be tested: empty, and used by nobody else. */
export type OpenedStore = {
  store: ObjectStore;
  /** Whether it keeps content types and metadata; folders do not. */
  keepsLabels: boolean;
  close?: () => Promise<void>;
};

/** Keys that break signers, parsers and file systems. */
export const NASTY_KEYS: readonly string[] = [
  'plain.cwasm',
  'folder/in/folder.cwasm',
  'with space',
  'plus+plus',
  'percent%20%2F%',
  "marks!'()*~-_.",
  'query?a=b&c=d',
  'hash#fragment',
  'at@colon:semi;comma,equals=dollar$',
  'quotes"<>|^`{}[]',
  'ünï/cödé/文字/🙂',
  'e\u0301 is not \u00e9',
  '.hidden',
  'trailing.',
  '...',
  'x'.repeat(200),
];

/** Keys that no store takes. */
export const REFUSED_KEYS: readonly string[] = [
  '',
  '/leading',
  'trailing/',
  'empty//segment',
  '.',
  '..',
  'up/../down',
  'same/./here',
  'back\\slash',
  'nul\0',
  'line\nfeed',
  'half \ud800 pair',
  'é'.repeat(600),
];

/** What every object store does, whatever it is made of. */
export function describeObjectStoreContract(name: string, open: () => Promise<OpenedStore>): void {
  describe(`${name}: as every object store`, () => {
    let opened: OpenedStore;
    let store: ObjectStore;
    let folder = '';
    beforeAll(async () => {
      opened = await open();
      store = opened.store;
    });
    afterAll(async () => {
      await store.close();
      await opened.close?.();
    });
    // Each test works below a prefix of its own.
    beforeEach(() => {
      folder = randomBytes(6).toString('hex');
    });
    const at = (key: string): string => `${folder}/${key}`;
    const put = async (key: string, text: string): Promise<string> => (await store.put(key, Buffer.from(text))).etag;

    test('what is missing is undefined, not an error', async () => {
      expect(await store.head(at('nothing'))).toBeUndefined();
      expect(await store.get(at('nothing'))).toBeUndefined();
      expect(await store.get(at('nothing'), { ifNoneMatch: '"0"' })).toBeUndefined();
      expect(await store.get(at('nothing'), { range: { first: 0, last: 1 } })).toBeUndefined();
      await put(at('file'), 'x');
      expect(await store.head(at('file/below'))).toBeUndefined();
      expect(await store.head(folder)).toBeUndefined();
    });

    test('what was put is got, with the etag that putting gave', async () => {
      const before = Date.now();
      const etag = await put(at('a'), 'content');
      const content = await read(store, at('a'));
      expect(content).toMatchObject({ etag, bytes: 7, text: 'content' });
      expect(Math.abs(content.modifiedAtMs - before)).toBeLessThan(60_000);
      expect(await store.head(at('a'))).toMatchObject({ etag, bytes: 7 });
    });

    test('an empty object', async () => {
      await put(at('empty'), '');
      expect(await read(store, at('empty'))).toMatchObject({ bytes: 0, text: '' });
      expect(await store.head(at('empty'))).toMatchObject({ bytes: 0 });
    });

    test('a file of several megabytes, streamed both ways', async () => {
      const bytes = randomBytes(9 * 1024 * 1024 + 17);
      const temporary = makeTemporaryFolder('source');
      const path = join(temporary.path, 'source');
      await writeFile(path, bytes);
      await store.put(at('large'), { path });
      temporary.remove();
      const content = await found(store, at('large'));
      const chunks: Buffer[] = [];
      for await (const chunk of content.body) chunks.push(chunk);
      expect(chunks.length).toBeGreaterThan(1);
      expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
    });

    test('another content has another etag, and the old one stands no more', async () => {
      const first = await put(at('a'), 'one');
      const second = await put(at('a'), 'two');
      expect(second).not.toBe(first);
      expect(await read(store, at('a'))).toMatchObject({ etag: second, text: 'two' });
    });

    test('ifNoneMatch spares the content only while the etag is the current one', async () => {
      const first = await put(at('a'), 'one');
      expect(await store.get(at('a'), { ifNoneMatch: first })).toBe('not_modified');
      await put(at('a'), 'two');
      expect(await read(store, at('a'), { ifNoneMatch: first })).toMatchObject({ text: 'two' });
    });

    test.each([
      [{ first: 2, last: 4 }, '234'],
      [{ first: 0, last: 0 }, '0'],
      [{ first: 7 }, '789'],
      [{ first: 5, last: 500 }, '56789'],
    ])('the range %j', async (range, text) => {
      await put(at('digits'), '0123456789');
      expect(await read(store, at('digits'), { range })).toMatchObject({ bytes: 10, text });
    });

    test.each([{ first: 10 }, { first: 99, last: 100 }])('the range %j is outside', async (range) => {
      await put(at('digits'), '0123456789');
      await expect(store.get(at('digits'), { range })).rejects.toMatchObject({ code: 'invalid' });
    });

    test('a body may be left after its first bytes, or unread', async () => {
      await store.put(at('large'), randomBytes(4 * 1024 * 1024));
      for (let count = 0; count < 20; count++) {
        const content = await found(store, at('large'));
        if (count % 2 === 0) for await (const _ of content.body) break;
        content.body.destroy();
      }
      expect(await store.head(at('large'))).toMatchObject({ bytes: 4 * 1024 * 1024 });
    });

    test('ifNoneMatch * writes only where nothing is', async () => {
      await store.put(at('once'), Buffer.from('first'), { ifNoneMatch: '*' });
      const again = store.put(at('once'), Buffer.from('second'), { ifNoneMatch: '*' });
      await expect(again).rejects.toMatchObject({ code: 'precondition_failed' });
      expect(await read(store, at('once'))).toMatchObject({ text: 'first' });
    });

    test('ifMatch writes only over that content', async () => {
      const first = await put(at('pointer'), 'one');
      const { etag: second } = await store.put(at('pointer'), Buffer.from('two'), { ifMatch: first });
      const stale = store.put(at('pointer'), Buffer.from('three'), { ifMatch: first });
      await expect(stale).rejects.toMatchObject({ code: 'precondition_failed' });
      const missing = store.put(at('missing'), Buffer.from('x'), { ifMatch: second });
      await expect(missing).rejects.toMatchObject({ code: 'precondition_failed' });
      expect(await read(store, at('pointer'))).toMatchObject({ etag: second, text: 'two' });
      expect(await store.head(at('missing'))).toBeUndefined();
    });

    test('of many that compare and swap at once, one wins', async () => {
      const etag = await put(at('pointer'), 'start');
      const outcomes = await Promise.allSettled(
        Array.from({ length: 8 }, (_, index) => store.put(at('pointer'), Buffer.from(`${index}`), { ifMatch: etag })),
      );
      const winner = outcomes.findIndex(({ status }) => status === 'fulfilled');
      expect(
        outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.code : 'won')).toSorted(),
      ).toEqual([...Array<string>(7).fill('precondition_failed'), 'won']);
      expect(await read(store, at('pointer'))).toMatchObject({ text: `${winner}` });
    });

    test('of many that create at once, one wins', async () => {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 8 }, (_, index) =>
          store.put(at('created'), Buffer.from(`${index}`), { ifNoneMatch: '*' }),
        ),
      );
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      const winner = outcomes.findIndex(({ status }) => status === 'fulfilled');
      expect(await read(store, at('created'))).toMatchObject({ text: `${winner}` });
    });

    test('readers during writes see whole contents', async () => {
      const contents = ['a', 'b'].map((letter) => letter.repeat(200_000));
      await put(at('shared'), contents[0]!);
      const writing = (async () => {
        for (let round = 0; round < 10; round++) await put(at('shared'), contents[round % 2]!);
      })();
      for (let round = 0; round < 20; round++) {
        expect(contents.includes((await read(store, at('shared'))).text)).toBe(true);
      }
      await writing;
    });

    test('an object that is replaced while it is read stays the one it was', async () => {
      const contents = [randomBytes(6_000_000), randomBytes(6_000_000)];
      await store.put(at('replaced'), contents[0]!);
      const content = await found(store, at('replaced'));
      const chunks: Buffer[] = [];
      for await (const chunk of content.body) {
        if (chunks.length === 0) await store.put(at('replaced'), contents[1]!);
        chunks.push(chunk);
      }
      expect(Buffer.concat(chunks).equals(contents[0]!)).toBe(true);
    });

    test('delete removes, also what is gone already; with ifMatch only that content', async () => {
      const first = await put(at('a'), 'one');
      const second = await put(at('a'), 'two');
      await expect(store.delete(at('a'), { ifMatch: first })).rejects.toMatchObject({ code: 'precondition_failed' });
      expect(await store.head(at('a'))).toBeDefined();
      await store.delete(at('a'), { ifMatch: second });
      expect(await store.head(at('a'))).toBeUndefined();
      await store.delete(at('a'));
      await expect(store.delete(at('a'), { ifMatch: second })).rejects.toMatchObject({ code: 'precondition_failed' });
      await put(at('b'), 'one');
      await store.delete(at('b'));
      expect(await store.get(at('b'))).toBeUndefined();
    });

    test('list gives keys below a prefix in the order of their bytes', async () => {
      const keys = ['b', 'a/2', 'a/10', 'a.b', 'a0', 'a/z/y', 'ü', 'Z', '🙂', 'c d+e%'].map(at);
      for (const key of keys) await put(key, 'xyz');
      const inOrder = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      expect(await list(store, `${folder}/`)).toEqual(inOrder);
      expect(await list(store, at('a/'))).toEqual(['a/10', 'a/2', 'a/z/y'].map(at));
      expect(await list(store, at('a'))).toEqual(['a.b', 'a/10', 'a/2', 'a/z/y', 'a0'].map(at));
      expect(await list(store, at('nothing'))).toEqual([]);
      for await (const object of store.list(at('b'))) {
        const info = await store.head(at('b'));
        expect(object).toMatchObject({ key: at('b'), etag: info?.etag, bytes: 3, modifiedAtMs: expect.any(Number) });
      }
    });

    test.each(NASTY_KEYS)('the key %j', async (key) => {
      const text = `content of ${key}`;
      const etag = await put(at(key), text);
      expect(await read(store, at(key))).toMatchObject({ etag, text });
      expect(await store.head(at(key))).toMatchObject({ etag });
      expect(await list(store, at(''))).toEqual([at(key)]);
      await store.delete(at(key));
      expect(await store.head(at(key))).toBeUndefined();
    });

    test.each(REFUSED_KEYS)('the key %j is refused', async (key) => {
      const refusal = { name: 'ObjectStoreError', code: 'invalid' };
      await expect(store.head(key)).rejects.toMatchObject(refusal);
      await expect(store.get(key)).rejects.toMatchObject(refusal);
      await expect(store.put(key, Buffer.from('x'))).rejects.toMatchObject(refusal);
      await expect(store.delete(key)).rejects.toMatchObject(refusal);
    });

    test('content type and metadata', async (context) => {
      // A plain file has no place for either.
      context.skip(!opened.keepsLabels, 'this store keeps none');
      const labels = { contentType: 'application/wasm', metadata: { sha256: 'abc', 'made-by': 'a  test, of=this' } };
      await store.put(at('labelled'), Buffer.from('x'), labels);
      expect(await store.head(at('labelled'))).toMatchObject(labels);
      const content = await found(store, at('labelled'));
      content.body.destroy();
      expect(content).toMatchObject(labels);
    });

    test('a signal that has spoken ends it with its reason', async () => {
      const reason = new Error('enough');
      const signal = AbortSignal.abort(reason);
      await put(at('a'), 'x');
      await expect(store.head(at('a'), { signal })).rejects.toBe(reason);
      await expect(store.get(at('a'), { signal })).rejects.toBe(reason);
      await expect(store.put(at('a'), Buffer.from('y'), { signal })).rejects.toBe(reason);
      await expect(store.delete(at('a'), { signal })).rejects.toBe(reason);
      expect(await read(store, at('a'))).toMatchObject({ text: 'x' });
    });

    test('a signal that speaks while the body is read ends that with its reason', async () => {
      await store.put(at('large'), Buffer.alloc(8_000_000));
      const controller = new AbortController();
      const reason = new Error('enough');
      const content = await found(store, at('large'), { signal: controller.signal });
      const reading = (async () => {
        for await (const _ of content.body) controller.abort(reason);
      })();
      await expect(reading).rejects.toBe(reason);
    });

    test('its description names it without a secret', () => {
      expect(store.description).toMatch(/^\w+ \S+/);
    });
  });
}

async function found(store: ObjectStore, key: string, options = {}): Promise<ObjectContent> {
  const content = await store.get(key, options);
  if (content === undefined || content === 'not_modified') throw new Error(`${key} is ${content}`);
  return content;
}

async function read(store: ObjectStore, key: string, options = {}): Promise<ObjectContent & { text: string }> {
  const content = await found(store, key, options);
  const chunks: Buffer[] = [];
  for await (const chunk of content.body) chunks.push(chunk);
  return { ...content, text: Buffer.concat(chunks).toString() };
}

async function list(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}
