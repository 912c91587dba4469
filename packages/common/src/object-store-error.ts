/**
 * Why an object store did not do what it was asked.
 *
 * - `bucket_not_found`: there is no such bucket; a missing object is no error but `undefined`
 * - `precondition_failed`: `ifMatch` or `ifNoneMatch` of a write does not hold
 * - `access_denied`: credentials are missing, refused, expired, or do not allow it
 * - `unavailable`: the store cannot be reached, is too slow, failed, answers nonsense, or broke a body off; later may be better
 * - `invalid`: asking again cannot help: a key that no store can hold, a range outside the object, something the store does not support
 */
export type ObjectStoreErrorCode =
  | 'bucket_not_found'
  | 'precondition_failed'
  | 'access_denied'
  | 'unavailable'
  | 'invalid';

/** What an object store throws; `code` is for programs, `message` for people. It never holds credentials. */
export class ObjectStoreError extends Error {
  override readonly name = 'ObjectStoreError';
  readonly code: ObjectStoreErrorCode;
  /** HTTP status of the answer, where there was one. */
  declare readonly status?: number;
  /** How long the store asks to be left alone. */
  declare readonly retryAfterMs?: number;

  constructor(
    code: ObjectStoreErrorCode,
    message: string,
    options: ErrorOptions & { status?: number | undefined; retryAfterMs?: number | undefined } = {},
  ) {
    super(message, options);
    this.code = code;
    if (options.status !== undefined) this.status = options.status;
    if (options.retryAfterMs !== undefined) this.retryAfterMs = options.retryAfterMs;
  }
}
