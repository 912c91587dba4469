import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { describeFaults, errorOf, found, keysOf } from './faulty-gateway.ts';

describeFaults('wrong answers before versitygw', (context) => {
  describe('bodies', () => {
    const bytes = randomBytes(3_000_000);
    beforeEach(() => context.store.put('large', bytes).then(() => context.proxy.reset()));

    test.each(['close', 'stall', 'garbage'] as const)('that are cut off: %s', async (afterwards) => {
      context.proxy.next({ kind: 'body', bytes: 1_000_000, afterwards });
      const received: Buffer[] = [];
      const content = await found(context.store, 'large');
      const reading = (async () => {
        for await (const chunk of content.body) received.push(chunk);
      })();
      if (afterwards === 'garbage') {
        // As long as announced: only a digest could tell.
        context.proxy.always(undefined);
        await reading.catch(() => {});
        expect(Buffer.concat(received).length).toBeLessThanOrEqual(bytes.length);
        return;
      }
      expect((await errorOf(reading)).code).toBe('unavailable');
      expect(Buffer.concat(received).length).toBeLessThan(bytes.length);
    });

    test.each([1, -1])('whose length is announced wrong by %d', async (difference) => {
      context.proxy.next({
        kind: 'amend',
        headers: { 'content-length': `${bytes.length + difference}`, connection: 'close' },
      });
      const content = await found(context.store, 'large');
      const received: Buffer[] = [];
      const reading = (async () => {
        for await (const chunk of content.body) received.push(chunk);
      })();
      await reading.catch(() => {});
      // Too long an announcement fails; too short a one is kept to, and is for a digest to find out.
      if (difference > 0) await expect(reading).rejects.toMatchObject({ code: 'unavailable' });
      else expect(Buffer.concat(received).length).toBeLessThan(bytes.length);
    });

    test.each(['etag', 'content-length', 'last-modified'])('without %s', async (header) => {
      context.proxy.next({ kind: 'amend', headers: { [header]: undefined } });
      expect((await errorOf(context.store.get('large'))).code).toBe('unavailable');
    });

    test('a range that is another than was asked for', async () => {
      context.proxy.next({ kind: 'amend', headers: { 'content-range': 'bytes 0-1/7' } });
      expect((await errorOf(context.store.get('a', { range: { first: 2, last: 3 } }))).code).toBe('unavailable');
    });
  });

  describe('lists', () => {
    test.each([
      ['no XML', 'hello'],
      ['cut off', '<ListBucketResult><Contents><Key>a</Key>'],
      ['something else', '<html></html>'],
      ['an entry without a key', '<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>'],
      ['more to come, without saying how', '<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>'],
      ['a document type', '<!DOCTYPE a [<!ENTITY b "c">]><ListBucketResult></ListBucketResult>'],
      ['very large', `<ListBucketResult>${' '.repeat(17 * 1024 * 1024)}</ListBucketResult>`],
    ])('%s', async (_what, body) => {
      context.proxy.always({ kind: 'answer', status: 200, body });
      expect((await errorOf(keysOf(context.store))).code).toBe('unavailable');
    });

    test('round in circles', async () => {
      const page =
        '<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken></ListBucketResult>';
      context.proxy.always({ kind: 'answer', status: 200, body: page });
      expect((await errorOf(keysOf(context.store))).message).toContain('circles');
    });

    test('more than a page', async () => {
      const keys = Array.from({ length: 1_010 }, (_, index) => `many/${String(index).padStart(4, '0')}`);
      await Promise.all(keys.map((key) => context.store.put(key, Buffer.from(key))));
      context.proxy.reset();
      expect(await keysOf(context.store, 'many/')).toEqual(keys);
      expect(context.proxy.seen).toHaveLength(2);
    });
  });
});
