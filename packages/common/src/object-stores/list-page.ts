import type { ListedObject } from '../object-store.ts';
import { ObjectStoreError } from '../object-store-error.ts';
import type { BucketDialect } from './bucket-dialect.ts';
import { childText, parseXml, type XmlElement } from './xml.ts';

/** One page of a list, with the token of the next if there is one. */
export type ListPage = { objects: ListedObject[]; nextToken?: string };

/** @throws {ObjectStoreError} `unavailable` for what is no list */
export function parseListPage(document: string, dialect: BucketDialect): ListPage {
  let result: XmlElement;
  try {
    result = parseXml(document);
  } catch (error) {
    throw new ObjectStoreError('unavailable', `the list is no XML: ${(error as Error).message}`, { cause: error });
  }
  if (result.name !== 'ListBucketResult') {
    throw new ObjectStoreError('unavailable', `the list is something else: <${result.name.slice(0, 100)}>`);
  }
  const objects = result.children
    .filter(({ name }) => name === 'Contents')
    .map((entry): ListedObject => parseEntry(entry, dialect));
  if (childText(result, 'IsTruncated') !== 'true') return { objects };
  const nextToken = childText(result, 'NextContinuationToken');
  if (!nextToken)
    throw new ObjectStoreError('unavailable', 'the list has more pages, but does not say how to get them');
  return { objects, nextToken };
}

function parseEntry(entry: XmlElement, dialect: BucketDialect): ListedObject {
  const key = childText(entry, 'Key');
  const etag = dialect.listedEtag(entry);
  const bytes = Number(childText(entry, 'Size') ?? Number.NaN);
  const modifiedAtMs = Date.parse(childText(entry, 'LastModified') ?? '');
  if (key === undefined || etag === undefined || !Number.isSafeInteger(bytes) || Number.isNaN(modifiedAtMs)) {
    throw new ObjectStoreError('unavailable', 'an entry of the list lacks its key, version, size or time');
  }
  return { key, etag, bytes, modifiedAtMs };
}
