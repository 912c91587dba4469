import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { createCredentials } from '@playa/common/credentials/credentials';
import { createRenewing } from '@playa/common/credentials/renewing';
import { startFaultProxy, type Fault } from './fault-proxy.ts';
import { describeFaults, errorOf, keysOf, textOf } from './faulty-gateway.ts';
import { fixedCredentials } from './gateway-store.ts';
import { GATEWAY_KEYS } from './versitygw.ts';

const MINUTE_MS = 60_000;

describeFaults('requests that versitygw does not want', (context) => {
  describe('credentials', () => {
    test('a wrong secret is refused, at once', async () => {
      const wrong = await context.open({
        credentials: fixedCredentials({ ...GATEWAY_KEYS, secretAccessKey: 'wrong-secret' }),
      });
      const refused = await errorOf(wrong.get('a'));
      expect(refused).toMatchObject({ code: 'access_denied', status: 403 });
      expect(refused.message).toContain('SignatureDoesNotMatch');
      expect(context.proxy.seen).toHaveLength(1);
      expect((await errorOf(wrong.head('a'))).message).toContain('SignatureDoesNotMatch');
      expect((await errorOf(wrong.put('b', Buffer.from('x')))).code).toBe('access_denied');
      expect((await errorOf(keysOf(wrong))).code).toBe('access_denied');
      expect((await errorOf(wrong.delete('a'))).code).toBe('access_denied');
      expect(await context.store.head('a')).toBeDefined();
    });

    test('an unknown key', async () => {
      const credentials = fixedCredentials({ accessKeyId: 'nobody', secretAccessKey: 'x' });
      expect((await errorOf((await context.open({ credentials })).get('a'))).code).toBe('access_denied');
    });

    test('expired ones are replaced once, and tried again', async () => {
      let fetched = 0;
      const credentials = createRenewing(
        async () => createCredentials({ ...GATEWAY_KEYS, sessionToken: `session-${++fetched}` }),
        { timeMs: Date.now, random: Math.random },
      );
      const renewing = await context.open({ credentials });
      const expired: Fault = { kind: 'answer', status: 400, body: '<Error><Code>ExpiredToken</Code></Error>' };
      context.proxy.next(expired, { kind: 'answer', status: 404, body: '<Error><Code>NoSuchKey</Code></Error>' });
      expect(await renewing.get('a')).toBeUndefined();
      expect(context.proxy.seen.map(({ headers }) => headers['x-amz-security-token'])).toEqual([
        'session-1',
        'session-2',
      ]);
      context.proxy.always(expired);
      const refused = await errorOf(renewing.get('a'));
      expect(refused.code).toBe('access_denied');
      expect(inspect(refused)).not.toContain('session-');
      expect(fetched).toBe(3);
    });

    test('what is rewritten on the way: what is not signed does no harm, what is signed is refused', async () => {
      for (const header of ['accept-encoding', 'user-agent', 'x-forwarded-for']) {
        context.proxy.next({ kind: 'rewrite', header, value: 'rewritten' });
        expect(await textOf(context.store, 'a')).toBe('content');
      }
      context.proxy.next({ kind: 'rewrite', header: 'x-amz-content-sha256', value: '0'.repeat(64) });
      expect((await errorOf(context.store.put('a', Buffer.from('other')))).status).toBeGreaterThanOrEqual(400);
      expect(await textOf(context.store, 'a')).toBe('content');
    });

    test('denied where the key may not even be known to be missing', async () => {
      const denied: Fault = { kind: 'answer', status: 403, body: '<Error><Code>AccessDenied</Code></Error>' };
      context.proxy.always(denied);
      const refused = await errorOf(context.store.get('nothing'));
      expect(refused.code).toBe('access_denied');
      expect(refused.message).toContain('s3:ListBucket');
      expect((await errorOf(context.store.head('nothing'))).code).toBe('access_denied');
      const lenient = await context.open({}, '&region=test-region-1&denied=missing');
      expect(await lenient.get('nothing')).toBeUndefined();
      expect(await lenient.head('nothing')).toBeUndefined();
      // A wrong signature is not what this is about.
      context.proxy.always({ kind: 'answer', status: 403, body: '<Error><Code>SignatureDoesNotMatch</Code></Error>' });
      expect((await errorOf(lenient.get('nothing'))).code).toBe('access_denied');
    });
  });

  describe('clock and region', () => {
    test.each([-20, 20])('a clock that is wrong by %d minutes is corrected, once', async (minutes) => {
      const skewed = await context.open({ timeMs: () => Date.now() + minutes * MINUTE_MS });
      expect(await skewed.head('a')).toBeDefined();
      const asked = context.proxy.seen.length;
      expect(await textOf(skewed, 'a')).toBe('content');
      await skewed.put('a', Buffer.from('content'));
      expect(context.proxy.seen).toHaveLength(asked + 2);
    });

    test('a body-less 403 with another time on it is about the clock', async () => {
      const skewed = await context.open({ timeMs: () => Date.now() - 20 * MINUTE_MS });
      context.proxy.next({ kind: 'answer', status: 403, headers: { date: new Date().toUTCString() } });
      expect(await skewed.head('a')).toBeDefined();
      expect(context.proxy.seen.map(({ method }) => method)).toEqual(['HEAD', 'HEAD']);
    });

    test('a wrong region is corrected where the server names the right one', async () => {
      const astray = await context.open({}, '&region=elsewhere-9');
      const malformed = '<Error><Code>AuthorizationHeaderMalformed</Code><Region>test-region-1</Region></Error>';
      context.proxy.next({ kind: 'answer', status: 400, body: malformed });
      expect(await textOf(astray, 'a')).toBe('content');
      expect(await textOf(astray, 'a')).toBe('content');
      expect(context.proxy.seen).toHaveLength(3);
    });

    test.each([
      [301, 'GET'],
      [400, 'HEAD'],
      [403, 'HEAD'],
    ] as const)('by a header of a %d to %s', async (status, method) => {
      const astray = await context.open({}, '&region=elsewhere-9');
      context.proxy.next({ kind: 'answer', status, headers: { 'x-amz-bucket-region': 'test-region-1' } });
      if (method === 'GET') expect(await textOf(astray, 'a')).toBe('content');
      else expect(await astray.head('a')).toBeDefined();
      expect(context.proxy.seen).toHaveLength(2);
    });

    test('a wrong region that stays wrong is an error that says so', async () => {
      const astray = await context.open({}, '&region=elsewhere-9');
      const body = '<Error><Code>AuthorizationHeaderMalformed</Code><Region>nowhere-1</Region></Error>';
      context.proxy.always({ kind: 'answer', status: 400, body });
      expect((await errorOf(astray.get('a'))).message).toContain('region');
      expect(context.proxy.seen).toHaveLength(2);
    });

    test('no such bucket', async () => {
      const lost = await context.open({}, '&region=test-region-1', 'other-bucket');
      expect((await errorOf(lost.get('a'))).code).toBe('bucket_not_found');
      expect((await errorOf(lost.head('a'))).code).toBe('bucket_not_found');
      expect((await errorOf(lost.put('a', Buffer.from('x')))).code).toBe('bucket_not_found');
      expect((await errorOf(keysOf(lost))).code).toBe('bucket_not_found');
    });
  });

  describe('redirects', () => {
    test.each([301, 302, 307, 308])('%d: signed again for the new host', async (status) => {
      const elsewhere = await startFaultProxy(context.gatewayPort);
      const to = (path: string): Fault => ({
        kind: 'answer',
        status,
        headers: { location: `${elsewhere.url}${path}` },
        body: '<Error><Code>TemporaryRedirect</Code></Error>',
      });
      context.proxy.next(to('/bucket/a'), to("/bucket/with%20space/%2B%21'()"));
      expect(await textOf(context.store, 'a')).toBe('content');
      await context.store.put("with space/+!'()", Buffer.from('x'));
      expect(elsewhere.seen.map(({ headers }) => headers.host)).toEqual(Array(2).fill(new URL(elsewhere.url).host));
      expect(await textOf(context.store, "with space/+!'()")).toBe('x');
      await elsewhere.close();
    });

    test('not for ever, and not to nowhere', async () => {
      for (const location of [`${context.proxy.url}/bucket/a`, 'ftp://somewhere/', 'http://user:secret@host/', '//']) {
        context.proxy.reset();
        context.proxy.always({ kind: 'answer', status: 307, headers: { location } });
        expect((await errorOf(context.store.get('a'))).message).toContain('elsewhere');
        expect(context.proxy.seen.length).toBeLessThan(3);
      }
    });
  });
});
