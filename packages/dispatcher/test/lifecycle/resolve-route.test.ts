import { describe, expect, test } from 'vitest';
import { resolveRoute } from '../../src/lifecycle/resolve-route.ts';

describe('resolveRoute', () => {
  test.each([
    ['/invoke/hello.cwasm', 'hello', '/'],
    ['/invoke/hello', 'hello', '/'],
    ['/invoke/hello?x=1', 'hello', '/?x=1'],
    ['/invoke/hello.cwasm?x=1', 'hello', '/?x=1'],
    ['/invoke/hello.cwasm/', 'hello', '/'],
    ['/invoke/hello.cwasm/a/b?x=1&x=2', 'hello', '/a/b?x=1&x=2'],
    ['/invoke/hello/a/b', 'hello', '/a/b'],
    ['/invoke/acme/resize.cwasm', 'acme/resize', '/'],
    ['/invoke/acme/resize.cwasm/rest', 'acme/resize', '/rest'],
    ['/invoke/acme/resize', 'acme', '/resize'],
    ['/invoke/a.cwasm/b.cwasm', 'a', '/b.cwasm'],
    ['/invoke/a.cwasmx/b.cwasm', 'a.cwasmx/b', '/'],
    ['/invoke/hello?file=other.cwasm', 'hello', '/?file=other.cwasm'],
    ['/invoke/gr%C3%BC%C3%9Fe.cwasm', 'grüße', '/'],
    ['/invoke/with%20space.cwasm/%2e%2e', 'with space', '/%2e%2e'],
    ['/invoke/v1.2.3.cwasm', 'v1.2.3', '/'],
  ])('%s is %s at %s', (url, name, pathWithQuery) => {
    expect(resolveRoute(url)).toEqual({ name, pathWithQuery });
  });

  test.each([
    '/invoke/',
    '/invoke/.cwasm',
    '/invoke/?x',
    '/invoke//hello.cwasm',
    '/invoke/a//b.cwasm',
    '/invoke/../secret.cwasm',
    '/invoke/a/../b.cwasm',
    '/invoke/%2e%2e/b.cwasm',
    '/invoke/.hidden.cwasm',
    '/invoke/a/.hidden.cwasm',
    '/invoke/a%2fb.cwasm',
    '/invoke/a%5cb.cwasm',
    '/invoke/a%00b.cwasm',
    '/invoke/a%0ab.cwasm',
    '/invoke/a%7f.cwasm',
    '/invoke/a%e2%80%ae.cwasm',
    '/invoke/%ff.cwasm',
    '/invoke/%.cwasm',
    `/invoke/${'a'.repeat(256)}.cwasm`,
  ])('%s is no name', (url) => {
    expect(() => resolveRoute(url)).toThrow(expect.objectContaining({ code: 'name_invalid' }));
  });
});
