import { describe, expect, test } from 'vitest';
import { isBucketUrl, parseBucketUrl } from '@playa/common/object-stores/bucket-url';

describe('URLs of buckets', () => {
  test('are told from folders', () => {
    for (const url of ['s3://b', 'gs://b/x', 'r2://a/b', 'http://x', 'S3://b', 'azure://x']) {
      expect(isBucketUrl(url), url).toBe(true);
    }
    for (const folder of ['bucket', './s3', '/s3:/x', 'C:\\x', 'file:///srv', 'a:b', 's3:b']) {
      expect(isBucketUrl(folder), folder).toBe(false);
    }
  });

  test('are taken apart', () => {
    expect(parseBucketUrl('s3://my-bucket')).toEqual({
      scheme: 's3',
      bucket: 'my-bucket',
      prefix: '',
      settings: new Map(),
    });
    expect(parseBucketUrl('s3://b.1/a b/%20/c/?endpoint=http://h:1/x&region=eu-1&style=virtual')).toEqual({
      scheme: 's3',
      bucket: 'b.1',
      prefix: 'a b/%20/c/',
      settings: new Map([
        ['endpoint', 'http://h:1/x'],
        ['region', 'eu-1'],
        ['style', 'virtual'],
      ]),
    });
    expect(parseBucketUrl('r2://acc-1/bucket/a/b')).toMatchObject({
      account: 'acc-1',
      bucket: 'bucket',
      prefix: 'a/b/',
    });
  });

  test.each([
    'http://bucket',
    'azure://bucket',
    'S3://bucket',
    's3://',
    's3:///prefix',
    's3://b',
    's3://-bucket',
    's3://bu_ck!et',
    's3://bucket/a/../b',
    's3://bucket/a//b',
    's3://bucket/./b',
    's3://bucket#x',
    's3://bucket?unknown=1',
    's3://bucket?region=',
    's3://bucket?region=eu/1',
    's3://bucket?style=other',
    's3://bucket?endpoint=host:9000',
    's3://bucket?endpoint=ftp://host',
    's3://bucket?endpoint=http://me:pw@host',
    's3://bucket?jurisdiction=eu',
    'gs://bucket?region=x',
    'r2://account',
    'r2://account?x=y',
    'r2://acc.ount/bucket',
    'r2://account/bucket?jurisdiction=mars',
  ])('%s is refused', (url) => {
    expect(() => parseBucketUrl(url)).toThrow(expect.objectContaining({ name: 'ObjectStoreError', code: 'invalid' }));
  });

  test('with credentials in them are refused without repeating them', () => {
    expect(() => parseBucketUrl('s3://AKIA:secret-key@bucket')).toThrow(/^(?!.*secret-key).*credentials do not belong/);
  });
});
