import { checkObjectPrefix } from '../object-key.ts';
import { ObjectStoreError } from '../object-store-error.ts';

/** A bucket's URL, taken apart. */
export type BucketUrl = {
  scheme: 's3' | 'r2' | 'gs';
  /** Of `r2` only. */
  account?: string;
  bucket: string;
  /** Empty, or ends with a slash. */
  prefix: string;
  /** Only those that the scheme has. */
  settings: ReadonlyMap<string, string>;
};

const SETTINGS: Readonly<Record<BucketUrl['scheme'], readonly string[]>> = {
  s3: ['endpoint', 'region', 'style', 'denied'],
  r2: ['endpoint', 'jurisdiction', 'denied'],
  gs: ['endpoint', 'denied'],
};

/** Whether it names a bucket that is no folder. */
export function isBucketUrl(location: string): boolean {
  return /^[a-z][a-z\d+.-]+:\/\//i.test(location) && !location.startsWith('file:');
}

/**
 * Takes `s3://bucket/prefix?endpoint=…&region=…` apart, and `r2://account/bucket/prefix`, and `gs://bucket/prefix`. The prefix stands as it is
 * in keys, without escapes.
 * @throws {ObjectStoreError} `invalid`
 */
export function parseBucketUrl(url: string): BucketUrl {
  const parts = /^(s3|r2|gs):\/\/([^/?#]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(url);
  if (parts === null) {
    throw invalid('a bucket is a folder, s3://BUCKET/PREFIX, r2://ACCOUNT/BUCKET/PREFIX or gs://BUCKET/PREFIX');
  }
  const scheme = parts[1] as BucketUrl['scheme'];
  const names = [parts[2]!, ...(parts[3] ?? '').split('/')];
  if (names[0]!.includes('@')) {
    throw invalid('credentials do not belong in the URL of a bucket: it is shown in logs; see docs/buckets.md');
  }
  const account = scheme === 'r2' ? names.shift() : undefined;
  const bucket = names.shift() ?? '';
  if (!/^[A-Za-z\d][\w.-]{1,221}$/.test(bucket)) throw invalid(`${JSON.stringify(bucket)} is no name of a bucket`);
  if (account !== undefined && !/^[A-Za-z\d-]+$/.test(account))
    throw invalid(`${JSON.stringify(account)} is no account of R2`);
  const folder = names.join('/').replace(/\/+$/, '');
  checkObjectPrefix(folder);
  return {
    scheme,
    ...(account !== undefined && { account }),
    bucket,
    prefix: folder === '' ? '' : `${folder}/`,
    settings: parseSettings(scheme, parts[4] ?? ''),
  };
}

function parseSettings(scheme: BucketUrl['scheme'], query: string): Map<string, string> {
  const settings = new Map(new URLSearchParams(query));
  for (const [name, value] of settings) {
    if (!SETTINGS[scheme].includes(name)) {
      throw invalid(`${name} is no setting of ${scheme}:// buckets; they are ${SETTINGS[scheme].join(', ')}`);
    }
    if (value === '') throw invalid(`the setting ${name} of the bucket is empty`);
  }
  checkChoice(settings, 'style', ['path', 'virtual']);
  checkChoice(settings, 'denied', ['error', 'missing']);
  checkChoice(settings, 'jurisdiction', ['eu', 'fedramp']);
  const endpoint = settings.get('endpoint');
  if (endpoint !== undefined) checkEndpoint(endpoint);
  const region = settings.get('region');
  if (region !== undefined && !/^[A-Za-z\d-]+$/.test(region))
    throw invalid('the region of the bucket is no name of a region');
  return settings;
}

/** @throws {ObjectStoreError} `invalid` */
export function checkEndpoint(endpoint: string): string {
  const url = URL.parse(endpoint);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) {
    throw invalid(
      'the endpoint of a bucket is https://HOST, http://HOST:PORT or the like, without credentials and query',
    );
  }
  return endpoint;
}

function checkChoice(settings: ReadonlyMap<string, string>, name: string, choices: readonly string[]): void {
  const value = settings.get(name);
  if (value !== undefined && !choices.includes(value)) {
    throw invalid(`the setting ${name} of a bucket is ${choices.join(' or ')}`);
  }
}

function invalid(message: string): ObjectStoreError {
  return new ObjectStoreError('invalid', message);
}
