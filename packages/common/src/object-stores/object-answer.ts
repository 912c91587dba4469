import type { ByteRange, ObjectInfo } from '../object-store.ts';
import { ObjectStoreError } from '../object-store-error.ts';
import type { BucketDialect } from './bucket-dialect.ts';
import type { HttpAnswer } from './http-transport.ts';

/** What an answer says of its object, and how long its body should be. @throws {ObjectStoreError} `unavailable` for what is left unsaid */
export function describeAnswer(
  answer: HttpAnswer,
  dialect: BucketDialect,
  range?: { total: number; length: number },
): ObjectInfo & { length: number } {
  const etag = dialect.etagOf(answer.header);
  const length = range?.length ?? Number(answer.header('content-length') ?? Number.NaN);
  const modifiedAtMs = Date.parse(answer.header('last-modified') ?? '');
  if (etag === undefined || !Number.isSafeInteger(length) || Number.isNaN(modifiedAtMs)) {
    throw new ObjectStoreError('unavailable', 'the answer does not say version, length and time of the object');
  }
  return { etag, bytes: range?.total ?? length, modifiedAtMs, length };
}

/** What part an answer holds. @throws {ObjectStoreError} `unavailable` when it is another than was asked for */
export function contentRange(answer: HttpAnswer, asked: ByteRange): { total: number; length: number } {
  const parts = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(answer.header('content-range') ?? '');
  const [first, last, total] = (parts ?? []).slice(1).map(Number);
  if (answer.status !== 206 || first !== asked.first || total === undefined || last! < first || last! >= total) {
    throw new ObjectStoreError('unavailable', 'the answer is not the range that was asked for');
  }
  return { total, length: last! - first + 1 };
}
