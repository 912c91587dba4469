import type { Pairs } from '../sigv4/canonical-request.ts';
import type { RequestTarget } from './bucket-location.ts';
import type { StoreFault } from './store-fault.ts';

/** What to do differently, as a server has told us. */
export type Correction =
  | { kind: 'region'; region: string }
  | { kind: 'clock'; skewMs: number }
  | { kind: 'redirect'; target: RequestTarget; query: Pairs }
  | { kind: 'credentials' };

/** S3 allows a quarter of an hour; a difference this large without a reason is the reason. */
const SUSPICIOUS_SKEW_MS = 5 * 60 * 1000;

/** Finds what the server wants to be different about the request itself, if anything. */
export function findCorrection(
  fault: StoreFault,
  sent: { origin: string; region: string; nowMs: number; skewMs: number; mayFollow: boolean },
): Correction | undefined {
  const { status, code, region, dateMs } = fault;
  if (region !== undefined && region !== sent.region && isAboutRegion(fault)) return { kind: 'region', region };
  if (code === 'ExpiredToken' || code === 'InvalidToken' || code === 'TokenRefreshRequired')
    return { kind: 'credentials' };
  if (status === 401) return { kind: 'credentials' };
  if (dateMs !== undefined && (code === 'RequestTimeTooSkewed' || (status === 403 && code === undefined))) {
    const skewMs = dateMs - sent.nowMs;
    const large = code !== undefined || Math.abs(skewMs - sent.skewMs) > SUSPICIOUS_SKEW_MS;
    if (large) return { kind: 'clock', skewMs };
  }
  return sent.mayFollow ? findRedirect(fault, sent.origin) : undefined;
}

/** HEAD and proxies give no code: a status that a wrong region has is enough where the right one is named. */
function isAboutRegion({ status, code }: StoreFault): boolean {
  if (code === 'AuthorizationHeaderMalformed' || code === 'PermanentRedirect' || code === 'TemporaryRedirect')
    return true;
  return code === undefined && (status === 301 || status === 307 || status === 400 || status === 403);
}

function findRedirect({ status, location }: StoreFault, origin: string): Correction | undefined {
  if (location === undefined || ![301, 302, 307, 308].includes(status)) return undefined;
  const absolute = location.startsWith('/') ? origin + location : location;
  const parts = /^(https?:\/\/[^/?#@]+)(?=[/?#]|$)(\/[^?#]*)?(?:\?([^#]*))?/.exec(absolute);
  const base = parts && URL.parse(parts[1]!);
  if (!base) return undefined;
  const [, , path = '/', query = ''] = parts;
  const { origin: to, host, protocol } = base;
  // From an encrypted connection to one that is not: nobody who means well asks for that.
  if (origin.startsWith('https:') && protocol !== 'https:') return undefined;
  // The path as it stands, which a URL would change; the query decoded, as it is signed again.
  const pairs = [...new URLSearchParams(query.replaceAll('+', '%2B'))];
  return { kind: 'redirect', target: { origin: to, host, path }, query: pairs };
}
