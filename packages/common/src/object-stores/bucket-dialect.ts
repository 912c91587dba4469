import type { Pairs } from '../sigv4/canonical-request.ts';
import { childText, type XmlElement } from './xml.ts';

/** How a service names the version of an object, and asks for it. */
export type BucketDialect = {
  /** Of its own headers, and with `meta-` of metadata. */
  headerPrefix: 'x-amz-' | 'x-goog-';
  /** The etag in an answer. */
  etagOf: (header: (name: string) => string | undefined) => string | undefined;
  /** The etag in an entry of a list. */
  listedEtag: (entry: XmlElement) => string | undefined;
  /** Headers of a read that spares the content of this etag. */
  unlessChanged: (etag: string) => Pairs;
  /** Headers of a write over the content of this etag, or over none; then what servers understand that do not understand those. */
  onlyOver: (etag: string | undefined) => readonly [Pairs, ...Pairs[]];
};

/** S3, and what speaks its language. */
export const S3_DIALECT: BucketDialect = {
  headerPrefix: 'x-amz-',
  etagOf: (header) => header('etag'),
  listedEtag: (entry) => childText(entry, 'ETag'),
  unlessChanged: (etag) => [['if-none-match', etag]],
  onlyOver: (etag) => {
    if (etag === undefined) return [[['if-none-match', '*']]];
    // radosgw answers with quotes, as it should, and compares without.
    return [[['if-match', etag]], [['if-match', etag.replaceAll('"', '')]]];
  },
};

/** Google: writes know no etags, but generations, so that the generation is the etag here. */
export const GOOGLE_DIALECT: BucketDialect = {
  headerPrefix: 'x-goog-',
  etagOf: (header) => header('x-goog-generation'),
  listedEtag: (entry) => childText(entry, 'Generation'),
  unlessChanged: (etag) => [['x-goog-if-generation-not-match', etag]],
  onlyOver: (etag) => [[['x-goog-if-generation-match', etag ?? '0']]],
};
