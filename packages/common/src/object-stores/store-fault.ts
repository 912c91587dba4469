import { ObjectStoreError, type ObjectStoreErrorCode } from '../object-store-error.ts';
import { readBoundedText } from './bounded-body.ts';
import type { HttpAnswer } from './http-transport.ts';
import { childText, parseXml } from './xml.ts';

/** What an answer that is no success says. */
export type StoreFault = {
  status: number;
  /** S3's word for it: `NoSuchKey`. Answers to HEAD, and those of proxies, have none. */
  code?: string;
  message?: string;
  /** The region in which the bucket is, or that a signature should be for. */
  region?: string;
  location?: string;
  retryAfterMs?: number;
  /** The server's clock. */
  dateMs?: number;
};

const MAX_DOCUMENT_BYTES = 64 * 1024;
const MAX_MESSAGE_CHARACTERS = 300;

/** Reads an answer that is no success to its end. */
export async function readFault(answer: HttpAnswer, nowMs: number): Promise<StoreFault> {
  const document = parseDocument(await readBoundedText(answer.body, MAX_DOCUMENT_BYTES, 'the error document'));
  const region = answer.header('x-amz-bucket-region') ?? document.region;
  const dateMs = Date.parse(answer.header('date') ?? '');
  const retryAfterMs = parseRetryAfter(answer.header('retry-after'), nowMs);
  const location = answer.header('location');
  return {
    status: answer.status,
    ...document,
    ...(region !== undefined && { region }),
    ...(location !== undefined && { location }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(Number.isFinite(dateMs) && { dateMs }),
  };
}

function parseDocument(text: string): Pick<StoreFault, 'code' | 'message' | 'region'> {
  if (!text.trimStart().startsWith('<')) return {};
  try {
    const error = parseXml(text);
    if (error.name !== 'Error') return {};
    // Only these three: others quote what was signed, and the credentials' public half.
    const parts = ['code', 'message', 'region'].map((name) => {
      const value = childText(error, name[0]!.toUpperCase() + name.slice(1));
      return [
        name,
        value
          ?.replaceAll(/[\0-\x1f\x7f]+/g, ' ')
          .trim()
          .slice(0, MAX_MESSAGE_CHARACTERS),
      ] as const;
    });
    return Object.fromEntries(parts.filter(([, value]) => value));
  } catch {
    // A proxy's page, perhaps.
    return {};
  }
}

/** Seconds, or a date. */
function parseRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined;
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - nowMs;
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

/** Whether the same request may succeed a moment later. */
export function isTransient({ status, code }: StoreFault): boolean {
  if (status === 501 || status === 505) return false;
  return (
    status >= 500 ||
    status === 429 ||
    status === 408 ||
    code === 'RequestTimeout' ||
    code === 'ConditionalRequestConflict'
  );
}

/** A fault as the error that a store throws. `what` says what was tried: `reading a.cwasm of s3 bucket b`; `hint` what may help. */
export function faultError(fault: StoreFault, what: string, hint = ''): ObjectStoreError {
  const { status, code, message, retryAfterMs } = fault;
  const said = [code, message].filter(Boolean).join(': ');
  const text = `${what} failed with status ${status}${said && ` (${said})`}${adviceFor(fault) || hint}`;
  return new ObjectStoreError(errorCode(fault), text, { status, retryAfterMs });
}

const CREDENTIAL_FAULTS = new Set([
  'ExpiredToken',
  'InvalidToken',
  'TokenRefreshRequired',
  'AuthorizationHeaderMalformed',
  // versitygw's word for InvalidAccessKeyId, with status 404.
  'XAdminUserNotFound',
]);

function errorCode(fault: StoreFault): ObjectStoreErrorCode {
  const { status, code } = fault;
  if (code === 'NoSuchBucket') return 'bucket_not_found';
  if (status === 412) return 'precondition_failed';
  if (status === 401 || status === 403 || (code !== undefined && CREDENTIAL_FAULTS.has(code))) return 'access_denied';
  // A 404 without S3's words comes from something else: what is behind the endpoint is no object store, or a proxy has lost it.
  if (isTransient(fault) || (status === 404 && code === undefined)) return 'unavailable';
  return 'invalid';
}

function adviceFor({ status, code }: StoreFault): string {
  if (code === 'SignatureDoesNotMatch') return '; the secret is wrong, or something on the way changes requests';
  if (code === 'RequestTimeTooSkewed') return '; set the clock of this machine';
  if (code === 'AuthorizationHeaderMalformed') return '; name the region of the bucket';
  return status >= 300 && status < 400 ? '; the bucket is elsewhere: name its endpoint and region' : '';
}
