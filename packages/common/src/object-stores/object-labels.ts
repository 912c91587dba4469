import type { ObjectLabels } from '../object-store.ts';
import { ObjectStoreError } from '../object-store-error.ts';
import type { Pairs } from '../sigv4/canonical-request.ts';
import type { BucketDialect } from './bucket-dialect.ts';

/** What servers say of objects that were put without one. */
const NO_CONTENT_TYPE = /^(?:binary|application)\/octet-stream$/;
/** Says which write an object comes from, so that a writer who got no answer can tell whether it was his. */
export const WRITE_ID = 'playa-write';

/** Labels as headers of a write. @throws {ObjectStoreError} `invalid` */
export function labelHeaders({ contentType, metadata = {} }: ObjectLabels, { headerPrefix }: BucketDialect): Pairs {
  const headers: [string, string][] = [];
  if (contentType !== undefined) headers.push(['content-type', contentType]);
  for (const [name, value] of Object.entries(metadata)) {
    if (!/^[a-z\d][a-z\d-]*$/.test(name)) throw new ObjectStoreError('invalid', `metadata cannot be named ${name}`);
    headers.push([`${headerPrefix}meta-${name}`, value]);
  }
  for (const [name, value] of headers) {
    // Spaces at the ends would be cut off on the way, and other characters arrive as something else.
    if (!/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value)) {
      throw new ObjectStoreError('invalid', `${name} must be printable ASCII without spaces at its ends`);
    }
  }
  return headers;
}

/** The labels in the headers of an answer. */
export function readLabels(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  { headerPrefix }: BucketDialect,
): ObjectLabels & { writeId?: string } {
  const prefix = `${headerPrefix}meta-`;
  const metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(prefix) && value !== undefined) metadata[name.slice(prefix.length)] = `${value}`;
  }
  const { [WRITE_ID]: writeId, ...others } = metadata;
  const contentType = headers['content-type'];
  return {
    ...(typeof contentType === 'string' && !NO_CONTENT_TYPE.test(contentType) && { contentType }),
    ...(Object.keys(others).length > 0 && { metadata: others }),
    ...(writeId !== undefined && { writeId }),
  };
}
