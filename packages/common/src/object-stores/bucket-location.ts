import { encodePath } from '../sigv4/uri-encoding.ts';

/** Where a bucket is said to be. */
export type BucketLocation = {
  bucket: string;
  /** `https://host:port`, perhaps with a path; without it Amazon's own of the region. */
  endpoint?: string;
  region: string;
  /** Whether the bucket stands in the path or in the host's name. By default in the path of a given endpoint, else in the name. */
  style?: 'path' | 'virtual';
};

/** Where a request goes. */
export type RequestTarget = { origin: string; host: string; path: string };

/** Where a request for a key goes; the empty key is the bucket itself. */
export function locate({ bucket, endpoint, region, style }: BucketLocation, key: string): RequestTarget {
  const { protocol, host, pathname } = new URL(endpoint ?? amazonEndpoint(region));
  const inPath = style === 'path' || (style === undefined && endpoint !== undefined) || !canBeInName(bucket, host);
  const base = pathname.replace(/\/+$/, '');
  const name = inPath ? host : `${bucket}.${host}`;
  const path = inPath ? `${base}/${encodePath(bucket)}` : base;
  return { origin: `${protocol}//${name}`, host: name, path: key === '' ? path || '/' : `${path}/${encodePath(key)}` };
}

/** A dot in the bucket's name is not covered by the certificate, and addresses have no names below them. */
function canBeInName(bucket: string, host: string): boolean {
  return !bucket.includes('.') && !host.startsWith('[') && !/^[\d.]+(?::\d+)?$/.test(host);
}

function amazonEndpoint(region: string): string {
  return `https://s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
}
