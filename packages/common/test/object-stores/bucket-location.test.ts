import { expect, test } from 'vitest';
import { locate, type BucketLocation } from '@playa/common/object-stores/bucket-location';

test.each<[string, BucketLocation, string, string]>([
  ['Amazon', { bucket: 'b1', region: 'eu-west-1' }, 'a b', 'https://b1.s3.eu-west-1.amazonaws.com/a%20b'],
  ['China', { bucket: 'b1', region: 'cn-north-1' }, 'a', 'https://b1.s3.cn-north-1.amazonaws.com.cn/a'],
  ['dots', { bucket: 'b.1', region: 'eu-west-1' }, 'a', 'https://s3.eu-west-1.amazonaws.com/b.1/a'],
  ['path style', { bucket: 'b1', region: 'r', style: 'path' }, 'a', 'https://s3.r.amazonaws.com/b1/a'],
  ['an endpoint', { bucket: 'b1', region: 'r', endpoint: 'http://h:9000' }, 'a', 'http://h:9000/b1/a'],
  ['its default port', { bucket: 'b1', region: 'r', endpoint: 'https://h:443/' }, 'a', 'https://h/b1/a'],
  ['its path', { bucket: 'b1', region: 'r', endpoint: 'https://h/s3/' }, 'a/b', 'https://h/s3/b1/a/b'],
  [
    'virtual',
    { bucket: 'b1', region: 'r', endpoint: 'http://h:9000/p', style: 'virtual' },
    'a',
    'http://b1.h:9000/p/a',
  ],
  [
    'IPv6',
    { bucket: 'b1', region: 'r', endpoint: 'http://[::1]:9000', style: 'virtual' },
    'a',
    'http://[::1]:9000/b1/a',
  ],
  ['IPv4', { bucket: 'b1', region: 'r', endpoint: 'http://10.0.0.1', style: 'virtual' }, 'a', 'http://10.0.0.1/b1/a'],
  ['the bucket itself', { bucket: 'b1', region: 'r', endpoint: 'http://h' }, '', 'http://h/b1'],
  ['the bucket by name', { bucket: 'b1', region: 'r', endpoint: 'http://h', style: 'virtual' }, '', 'http://b1.h/'],
])('%s', (_what, location, key, url) => {
  const { origin, host, path } = locate(location, key);
  expect(origin + path).toBe(url);
  expect(origin.endsWith(`//${host}`)).toBe(true);
});
