import { describe, expect, test } from 'vitest';
import type { Fault } from './fault-proxy.ts';
import { describeFaults, errorOf, keysOf, textOf } from './faulty-gateway.ts';

describeFaults('failing servers before versitygw', (context) => {
  describe('failures of the server', () => {
    const failure: Fault = { kind: 'answer', status: 500, body: '<Error><Code>InternalError</Code></Error>' };

    test('a few are not noticed', async () => {
      context.proxy.next(failure, { kind: 'reset' });
      expect(await textOf(context.store, 'a')).toBe('content');
      expect(context.proxy.seen).toHaveLength(3);
      expect(context.pauses).toEqual([50, 100]);
    });

    test('more are unavailable, and never "missing"', async () => {
      for (const fault of [failure, { kind: 'reset' } as const, { kind: 'answer', status: 503 } as const]) {
        context.proxy.reset();
        context.proxy.always(fault);
        expect((await errorOf(context.store.get('a'))).code).toBe('unavailable');
        expect((await errorOf(context.store.get('never-there'))).code).toBe('unavailable');
        expect((await errorOf(context.store.put('a', Buffer.from('x')))).code).toBe('unavailable');
        expect((await errorOf(context.store.delete('a'))).code).toBe('unavailable');
        expect(context.proxy.seen).toHaveLength(12);
        expect((await errorOf(context.store.head('a'))).code).toBe('unavailable');
        expect((await errorOf(keysOf(context.store))).code).toBe('unavailable');
      }
    });

    test('a server that says when to come back is taken at its word, or the caller is told', async () => {
      context.proxy.next({ kind: 'answer', status: 503, headers: { 'retry-after': '1' } });
      expect(await textOf(context.store, 'a')).toBe('content');
      expect(context.pauses).toEqual([1000]);
      context.proxy.next({ kind: 'answer', status: 429, headers: { 'retry-after': '60' } });
      expect(await errorOf(context.store.get('a'))).toMatchObject({
        code: 'unavailable',
        status: 429,
        retryAfterMs: 60_000,
      });
    });

    test('what nobody can do is not tried again', async () => {
      context.proxy.next({ kind: 'answer', status: 501, body: '<Error><Code>NotImplemented</Code></Error>' });
      expect(await errorOf(context.store.get('a'))).toMatchObject({ code: 'invalid', status: 501 });
      expect(context.proxy.seen).toHaveLength(1);
    });

    test('a slow first byte', async () => {
      context.proxy.always({ kind: 'silence' });
      expect((await errorOf(context.store.get('a'))).message).toContain('did not answer in time');
      expect(context.proxy.seen).toHaveLength(3);
    });

    test('nobody there', async () => {
      await context.proxy.close();
      const refused = await errorOf(context.store.get('a'));
      expect(refused).toMatchObject({ code: 'unavailable' });
      expect(refused.message).toContain('ECONNREFUSED');
    });

    test("a proxy's page instead of S3's words", async () => {
      context.proxy.always({ kind: 'answer', status: 404, body: '<!DOCTYPE html><html><h1>Not here</h1></html>' });
      expect((await errorOf(context.store.get('a'))).code).toBe('unavailable');
      expect((await errorOf(context.store.head('a'))).code).toBe('unavailable');
      context.proxy.always({ kind: 'answer', status: 403, body: `<Error>${'x'.repeat(200_000)}</Error>` });
      expect((await errorOf(context.store.get('a'))).code).toBe('unavailable');
    });

    test('a signal ends waiting for an answer', async () => {
      context.proxy.always({ kind: 'silence' });
      const controller = new AbortController();
      const reason = new Error('enough');
      const reading = context.store.get('a', { signal: controller.signal });
      controller.abort(reason);
      await expect(reading).rejects.toBe(reason);
    });
  });

  describe('writes whose answer is lost', () => {
    test('are known to be ours when they are found to have happened', async () => {
      context.proxy.next({ kind: 'reset', after: 'the answer' });
      const { etag } = await context.store.put('once', Buffer.from('mine'), { ifNoneMatch: '*' });
      context.proxy.next({ kind: 'reset', after: 'the answer' });
      const second = await context.store.put('once', Buffer.from('mine too'), { ifMatch: etag });
      expect(await context.store.head('once')).toMatchObject({ etag: second.etag });
      expect(await context.store.head('once')).not.toHaveProperty('metadata');
      await context.store.delete('once');
    });

    test('are not, when it was another', async () => {
      await context.store.put('once', Buffer.from('theirs'), { ifNoneMatch: '*' });
      context.proxy.next({ kind: 'reset', after: 'the answer' });
      const late = await errorOf(context.store.put('once', Buffer.from('mine'), { ifNoneMatch: '*' }));
      expect(late.code).toBe('precondition_failed');
      expect(await textOf(context.store, 'once')).toBe('theirs');
      await context.store.delete('once');
    });

    test('two writers at once are asked to try again, and do', async () => {
      context.proxy.next({
        kind: 'answer',
        status: 409,
        body: '<Error><Code>ConditionalRequestConflict</Code></Error>',
      });
      await context.store.put('once', Buffer.from('mine'), { ifNoneMatch: '*' });
      expect(context.proxy.seen).toHaveLength(2);
      await context.store.delete('once');
    });
  });

  test('a server that fails in a row is left alone, and then tried by one', async () => {
    let nowMs = 0;
    const breaker = { failures: 3, pauseMs: 1_000, maxPauseMs: 4_000 };
    const careful = await context.open({ nowMs: () => nowMs, random: () => 0, breaker, retries: { attempts: 1 } });
    context.proxy.always({ kind: 'answer', status: 500 });
    for (let count = 0; count < 3; count++) await errorOf(careful.get('a'));
    const refused = await errorOf(careful.get('a'));
    expect(refused).toMatchObject({ code: 'unavailable', retryAfterMs: 1_000 });
    expect(context.proxy.seen).toHaveLength(3);

    nowMs += 1_000;
    await Promise.all(Array.from({ length: 10 }, () => errorOf(careful.get('a'))));
    expect(context.proxy.seen).toHaveLength(4);
    expect((await errorOf(careful.get('a'))).retryAfterMs).toBe(2_000);

    nowMs += 2_000;
    context.proxy.always(undefined);
    expect(await textOf(careful, 'a')).toBe('content');
    expect(await textOf(careful, 'a')).toBe('content');
  });
});
