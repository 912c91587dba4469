import { randomUUID } from 'node:crypto';
import { withExactLength } from '../exact-length.ts';
import { checkObjectKey, checkObjectPrefix } from '../object-key.ts';
import type {
  DeleteOptions,
  GetOptions,
  ListedObject,
  ObjectContent,
  ObjectInfo,
  ObjectLabels,
  ObjectSource,
  ObjectStore,
  PutOptions,
} from '../object-store.ts';
import { ObjectStoreError } from '../object-store-error.ts';
import type { Pairs } from '../sigv4/canonical-request.ts';
import { discardBody, readBoundedText } from './bounded-body.ts';
import type { BucketDialect } from './bucket-dialect.ts';
import type { BucketExchange, BucketRequest } from './bucket-exchange.ts';
import { parseListPage } from './list-page.ts';
import { labelHeaders, readLabels, WRITE_ID } from './object-labels.ts';
import { contentRange, describeAnswer } from './object-answer.ts';
import { EMPTY_HASH, prepareBody } from './prepared-body.ts';
import { faultError, type StoreFault } from './store-fault.ts';

/** A thousand entries with the longest keys, each character written as a reference. */
const MAX_LIST_BYTES = 16 * 1024 * 1024;

const MISSING_HINT = '; without permission to list, S3 says so of missing objects too: allow s3:ListBucket';

/** What a store is made of, beside its exchange. */
export type BucketStoreSettings = {
  description: string;
  /** Stands before every key: empty, or ends with a slash. */
  prefix: string;
  dialect: BucketDialect;
  /** Credentials that may not list get "denied" for what is missing; whoever runs them so can say that it means missing. */
  deniedIsMissing: boolean;
};

/** An object store over HTTP. */
export function createBucketObjectStore(
  settings: BucketStoreSettings,
  exchange: BucketExchange,
  close: () => Promise<void>,
): ObjectStore {
  const { description, dialect, prefix } = settings;

  const ask = (
    key: string,
    what: string,
    request: Omit<BucketRequest, 'key' | 'what' | 'payloadHash'> & { payloadHash?: string },
  ) => exchange({ payloadHash: EMPTY_HASH, ...request, key: prefix + key, what: `${what} ${key}` });
  const refuse = (fault: StoreFault, what: string, hint?: string): never => {
    throw faultError(fault, `${what} of ${description}`, hint);
  };
  const isMissing = ({ code }: StoreFault): boolean =>
    code === 'NoSuchKey' || (settings.deniedIsMissing && code === 'AccessDenied');

  const get = async (key: string, options: GetOptions = {}): Promise<ObjectContent | 'not_modified' | undefined> => {
    checkObjectKey(key);
    const { ifNoneMatch, lentChunks, range, signal } = options;
    const headers: [string, string][] = [['accept-encoding', 'identity']];
    if (ifNoneMatch !== undefined)
      headers.push(...dialect.unlessChanged(ifNoneMatch).map(([n, v]): [string, string] => [n, v]));
    if (range !== undefined) headers.push(['range', `bytes=${range.first}-${range.last ?? ''}`]);
    const { answer, fault } = await ask(key, 'reading', { method: 'GET', headers, signal, lentChunks });
    if (fault !== undefined) {
      if (isMissing(fault)) return undefined;
      return refuse(fault, `reading ${key}`, fault.status === 403 ? MISSING_HINT : '');
    }
    if (answer.status === 304) {
      answer.body.destroy();
      return 'not_modified';
    }
    try {
      const { length, ...info } = describeAnswer(answer, dialect, range && contentRange(answer, range));
      const { writeId: _, ...labels } = readLabels(answer.headers, dialect);
      return { ...info, ...labels, body: withExactLength(answer.body, length, key, signal) };
    } catch (error) {
      answer.body.destroy();
      throw error;
    }
  };

  /** What HEAD leaves unsaid, as it may have no document, a GET says: which 404 it is, which 403, what is wrong with the request. */
  const look = async (key: string, signal: AbortSignal | undefined): Promise<Seen | undefined> => {
    const { answer, fault } = await ask(key, 'looking up', { method: 'HEAD', signal });
    if (fault === undefined) {
      answer.body.destroy();
      const { length: _, ...info } = describeAnswer(answer, dialect);
      return { ...info, ...readLabels(answer.headers, dialect) };
    }
    const content = await get(key, { ...(signal && { signal }) });
    if (content === undefined || content === 'not_modified') return undefined;
    const { body, ...info } = content;
    body.destroy();
    return info;
  };

  const put = async (key: string, source: ObjectSource, options: PutOptions = {}): Promise<{ etag: string }> => {
    checkObjectKey(key);
    const { ifMatch, ifNoneMatch, signal } = options;
    const conditional = ifMatch !== undefined || ifNoneMatch !== undefined;
    const writeId = randomUUID();
    const labels = labelHeaders(options, dialect);
    const marked: Pairs = conditional ? [...labels, [`${dialect.headerPrefix}meta-${WRITE_ID}`, writeId]] : labels;
    const prepared = await prepareBody(source);
    const what = `writing ${key}`;
    const conditions = conditional ? dialect.onlyOver(ifMatch) : ([[]] as const);
    let refusal: StoreFault;
    for (let attempt = 0; ; attempt++) {
      const headers = [...marked, ...conditions[attempt]!];
      const { answer, fault, uncertain } = await ask(key, 'writing', { method: 'PUT', headers, ...prepared, signal });
      if (fault === undefined) {
        discardBody(answer.body);
        const etag = dialect.etagOf(answer.header);
        if (etag !== undefined) return { etag };
        throw new ObjectStoreError('unavailable', `${what} was answered without an etag by ${description}`);
      }
      refusal = fault;
      const last = attempt + 1 === conditions.length;
      if (fault.status !== 412 || (last && !uncertain)) break;
      const seen = await look(key, signal);
      // An attempt that nobody answered is what the condition has failed on.
      if (uncertain && seen?.writeId === writeId) return { etag: seen.etag };
      // The condition holds, so that the server has not understood it.
      if (last || ifMatch === undefined || seen?.etag !== ifMatch) break;
    }
    // There is nothing to match: S3 says so in its own way.
    if (ifMatch !== undefined && refusal.code === 'NoSuchKey') refusal.status = 412;
    return refuse(refusal, what);
  };

  const remove = async (key: string, { ifMatch, signal }: DeleteOptions = {}): Promise<void> => {
    checkObjectKey(key);
    if (ifMatch !== undefined && (await look(key, signal))?.etag !== ifMatch) {
      throw new ObjectStoreError(
        'precondition_failed',
        `${key} of ${description} is missing or has another content by now`,
      );
    }
    const headers = ifMatch === undefined ? [] : dialect.onlyOver(ifMatch)[0];
    const { answer, fault } = await ask(key, 'removing', { method: 'DELETE', headers, signal });
    if (fault === undefined) discardBody(answer.body);
    else if (fault.code !== 'NoSuchKey') refuse(fault, `removing ${key}`);
  };

  const list = async function* (listed: string, signal: AbortSignal | undefined): AsyncGenerator<ListedObject> {
    let token: string | undefined;
    do {
      const query: [string, string][] = [
        ['list-type', '2'],
        ['prefix', prefix + listed],
      ];
      if (token !== undefined) query.push(['continuation-token', token]);
      const what = `listing ${prefix + listed}`;
      const { answer, fault } = await exchange({
        method: 'GET',
        key: '',
        query,
        payloadHash: EMPTY_HASH,
        signal,
        what,
      });
      if (fault !== undefined) return refuse(fault, what);
      const page = parseListPage(await readBoundedText(answer.body, MAX_LIST_BYTES, 'the list'), dialect);
      for (const object of page.objects) {
        const key = object.key.slice(prefix.length);
        if (object.key.startsWith(prefix) && isUsable(key)) yield { ...object, key };
      }
      if (page.nextToken === token && token !== undefined) {
        throw new ObjectStoreError('unavailable', `${description} goes round in circles while listing`);
      }
      token = page.nextToken;
    } while (token !== undefined);
  };

  return {
    description,
    get,
    put,
    head: async (key, options) => {
      checkObjectKey(key);
      const seen = await look(key, options?.signal);
      if (seen === undefined) return undefined;
      const { writeId: _, ...info } = seen;
      return info;
    },
    delete: remove,
    list: (listed, options) => {
      checkObjectPrefix(listed);
      return list(listed, options?.signal);
    },
    close,
  };
}

type Seen = ObjectInfo & ObjectLabels & { writeId?: string };

/** Others may have put keys there that this interface has no way to name, such as the empty objects that stand for folders. */
function isUsable(key: string): boolean {
  try {
    checkObjectKey(key);
    return true;
  } catch {
    return false;
  }
}
