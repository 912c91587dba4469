import type { LookupFunction } from 'node:net';
import { fileURLToPath } from 'node:url';
import { createAmazonCredentials } from '../credentials/amazon-credentials.ts';
import { createCredentials, type CredentialProvider } from '../credentials/credentials.ts';
import { createGoogleTokens } from '../credentials/google-token.ts';
import { createRenewing } from '../credentials/renewing.ts';
import { readSharedProfile } from '../credentials/shared-profile.ts';
import { createFolderObjectStore } from '../folder-object-store.ts';
import type { ObjectStore } from '../object-store.ts';
import { GOOGLE_STORAGE_RULES, S3_RULES } from '../sigv4/dialect.ts';
import { createSigningAuthorizer, createTokenAuthorizer, type Authorizer } from './authorizer.ts';
import { GOOGLE_DIALECT, S3_DIALECT, type BucketDialect } from './bucket-dialect.ts';
import { createBucketExchange } from './bucket-exchange.ts';
import type { BucketLocation } from './bucket-location.ts';
import { createBucketObjectStore } from './bucket-object-store.ts';
import { checkEndpoint, isBucketUrl, parseBucketUrl, type BucketUrl } from './bucket-url.ts';
import { BREAKER_DEFAULTS, createCircuitBreaker, type CircuitBreakerSettings } from './circuit-breaker.ts';
import { createHttpTransport, TIMEOUT_DEFAULTS, type HttpTimeouts } from './http-transport.ts';
import { createRetryPolicy, RETRY_DEFAULTS, type RetrySettings } from './retry-policy.ts';

/** What a store needs from around it; all of it can be replaced in tests. */
export type ObjectStoreDeps = {
  env: NodeJS.ProcessEnv;
  /** Milliseconds since 1970. */
  timeMs: () => number;
  /** Milliseconds of a clock that never jumps. */
  nowMs: () => number;
  random: () => number;
  pause?: (ms: number, signal: AbortSignal | undefined) => Promise<unknown>;
  /** Instead of those that the environment leads to. */
  credentials?: CredentialProvider;
  /** Instead of the system's. */
  lookup?: LookupFunction;
  timeouts?: Partial<HttpTimeouts>;
  retries?: Partial<RetrySettings>;
  breaker?: Partial<CircuitBreakerSettings>;
};

/** The machine as it is. */
export function defaultObjectStoreDeps(): ObjectStoreDeps {
  return { env: process.env, timeMs: Date.now, nowMs: () => performance.now(), random: Math.random };
}

/**
 * Opens a bucket by its URL (docs/buckets.md), or the folder of that path. Nothing is asked of the bucket yet.
 * @throws {ObjectStoreError} `invalid` for a URL that names no bucket
 */
export async function openObjectStore(location: string, deps: ObjectStoreDeps): Promise<ObjectStore> {
  if (!isBucketUrl(location)) {
    return createFolderObjectStore(location.startsWith('file:') ? fileURLToPath(location) : location);
  }
  const url = parseBucketUrl(location);
  const service = await SERVICES[url.scheme](url, deps);
  const transport = createHttpTransport({ ...TIMEOUT_DEFAULTS, ...deps.timeouts }, deps.lookup);
  const place = service.location.endpoint === undefined ? '' : ` at ${service.location.endpoint}`;
  const description = `${url.scheme} bucket ${url.bucket}/${url.prefix}${place}`;
  const exchange = createBucketExchange({
    description,
    location: service.location,
    authorizer: service.authorizer,
    transport,
    retries: createRetryPolicy({ ...RETRY_DEFAULTS, ...deps.retries }, deps.random),
    breaker: createCircuitBreaker({ ...BREAKER_DEFAULTS, ...deps.breaker }, deps),
    timeMs: deps.timeMs,
    ...(deps.pause && { pause: deps.pause }),
  });
  const deniedIsMissing = url.settings.get('denied') === 'missing';
  const settings = { description, prefix: url.prefix, dialect: service.dialect, deniedIsMissing };
  return createBucketObjectStore(settings, exchange, transport.close);
}

type Service = { location: BucketLocation; authorizer: Authorizer; dialect: BucketDialect };

const SERVICES: Record<BucketUrl['scheme'], (url: BucketUrl, deps: ObjectStoreDeps) => Promise<Service> | Service> = {
  s3: amazon,
  r2: cloudflare,
  gs: google,
};

async function amazon({ bucket, settings }: BucketUrl, deps: ObjectStoreDeps): Promise<Service> {
  const { env } = deps;
  const endpoint = settings.get('endpoint') ?? (env['AWS_ENDPOINT_URL_S3'] || env['AWS_ENDPOINT_URL']);
  // Where nobody names the region, the first answer does.
  const region = settings.get('region') ?? (await usualRegion(env)) ?? 'us-east-1';
  const style = settings.get('style') as BucketLocation['style'];
  const credentials = deps.credentials ?? createAmazonCredentials(deps, region);
  return {
    location: { bucket, region, ...(endpoint && { endpoint: checkEndpoint(endpoint) }), ...(style && { style }) },
    authorizer: createSigningAuthorizer(credentials, S3_RULES, 's3'),
    dialect: S3_DIALECT,
  };
}

async function usualRegion(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const named = env['AWS_REGION'] || env['AWS_DEFAULT_REGION'];
  if (named) return named;
  return (await readSharedProfile(env['AWS_PROFILE'] || 'default', env))?.get('region');
}

function cloudflare({ account, bucket, settings }: BucketUrl, deps: ObjectStoreDeps): Service {
  const jurisdiction = settings.get('jurisdiction');
  const host = [account, jurisdiction, 'r2.cloudflarestorage.com'].filter(Boolean).join('.');
  const credentials = deps.credentials ?? createAmazonCredentials(deps, undefined);
  return {
    location: { bucket, region: 'auto', endpoint: settings.get('endpoint') ?? `https://${host}`, style: 'path' },
    authorizer: createSigningAuthorizer(credentials, S3_RULES, 's3'),
    dialect: S3_DIALECT,
  };
}

function google({ bucket, settings }: BucketUrl, deps: ObjectStoreDeps): Service {
  const credentials = deps.credentials ?? googleKey(deps);
  return {
    location: {
      bucket,
      region: 'auto',
      endpoint: settings.get('endpoint') ?? 'https://storage.googleapis.com',
      style: 'path',
    },
    authorizer:
      credentials === undefined
        ? createTokenAuthorizer(createGoogleTokens(deps))
        : createSigningAuthorizer(credentials, GOOGLE_STORAGE_RULES, 'storage'),
    dialect: GOOGLE_DIALECT,
  };
}

/** An HMAC key, for machines that are not Google's. */
function googleKey(deps: ObjectStoreDeps): CredentialProvider | undefined {
  const accessKeyId = deps.env['GCS_HMAC_ACCESS_ID'];
  const secretAccessKey = deps.env['GCS_HMAC_SECRET'];
  if (!accessKeyId || !secretAccessKey) return undefined;
  return createRenewing(async () => createCredentials({ accessKeyId, secretAccessKey }), deps);
}
