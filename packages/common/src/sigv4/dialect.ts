/** What differs between AWS4 and its twins: the same signature under other names. */
export type Dialect = {
  /** First line of the string to sign: `AWS4-HMAC-SHA256`. */
  algorithm: string;
  /** Stands before the secret where the signing key begins. */
  secretPrefix: string;
  /** Last part of the credential scope. */
  terminator: string;
  /** Of header names: `x-amz-`; of query names the same, spelt `X-Amz-`. */
  prefix: 'x-amz-' | 'x-goog-';
};

/** Amazon, and all that imitate it. */
export const AWS4: Dialect = {
  algorithm: 'AWS4-HMAC-SHA256',
  secretPrefix: 'AWS4',
  terminator: 'aws4_request',
  prefix: 'x-amz-',
};

/** Google Cloud Storage with its own headers, which may not be mixed with Amazon's. */
export const GOOG4: Dialect = {
  algorithm: 'GOOG4-HMAC-SHA256',
  secretPrefix: 'GOOG4',
  terminator: 'goog4_request',
  prefix: 'x-goog-',
};

/** How a service wants its requests signed. */
export type SigningRules = {
  dialect: Dialect;
  /** Whether dot segments and repeated slashes of the path are resolved first. Never for S3: they are part of keys. */
  normalizePath: boolean;
  /** Whether the path, encoded as it is sent, is encoded once more. Never for S3. */
  encodePathTwice: boolean;
  /** Whether the digest of the body is sent as a header of its own. */
  contentSha256Header: boolean;
  /** Whether a session token is sent without being signed, as few services want it. */
  omitSessionToken: boolean;
  /** Whether a header, in lower case, is signed. What something on the way may rewrite must not be. */
  signsHeader: (name: string) => boolean;
};

/** Object storage. */
export const S3_RULES: SigningRules = {
  dialect: AWS4,
  normalizePath: false,
  encodePathTwice: false,
  contentSha256Header: true,
  omitSessionToken: false,
  signsHeader: isStableHeader,
};

/** Google Cloud Storage in its own dialect. */
export const GOOGLE_STORAGE_RULES: SigningRules = { ...S3_RULES, dialect: GOOG4 };

/** Any other service of AWS. */
export const GENERIC_RULES: SigningRules = {
  ...S3_RULES,
  normalizePath: true,
  encodePathTwice: true,
  contentSha256Header: false,
};

/**
 * Only what nobody rewrites. Proxies change `accept-encoding`, `connection`, `expect`, `user-agent` and trace headers, and a signature
 * over one of those is refused for no reason that the caller could see.
 */
function isStableHeader(name: string): boolean {
  return /^(?:host|content-type|content-md5|range|x-amz-.*|x-goog-.*)$/.test(name);
}
