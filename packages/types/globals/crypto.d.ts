type BufferSource = ArrayBuffer | ArrayBufferView<ArrayBuffer>;
type HashName = 'SHA-1' | 'SHA-256' | 'SHA-384' | 'SHA-512';
type HashAlgorithm = HashName | { name: HashName };

type KeyUsage = 'sign' | 'verify';

/** HMAC and RSASSA-PKCS1-v1_5 (RS256, RS384, RS512 of JSON web tokens). */
interface HashedKeyAlgorithm {
  name: 'HMAC' | 'RSASSA-PKCS1-v1_5';
  hash: HashAlgorithm;
}

/** ECDSA (ES256, ES384, ES512 of JSON web tokens). */
interface EcKeyAlgorithm {
  name: 'ECDSA';
  namedCurve: 'P-256' | 'P-384' | 'P-521';
}

type SignatureAlgorithm = 'HMAC' | 'RSASSA-PKCS1-v1_5' | { name: 'HMAC' | 'RSASSA-PKCS1-v1_5' } | EcdsaSignature;

interface EcdsaSignature {
  name: 'ECDSA';
  hash: HashAlgorithm;
}

interface JsonWebKey {
  alg?: string;
  crv?: string;
  d?: string;
  dp?: string;
  dq?: string;
  e?: string;
  ext?: boolean;
  k?: string;
  key_ops?: string[];
  kty?: string;
  n?: string;
  p?: string;
  q?: string;
  qi?: string;
  use?: string;
  x?: string;
  y?: string;
}

interface CryptoKey {
  readonly algorithm: { readonly name: string };
  readonly extractable: boolean;
  readonly type: 'private' | 'public' | 'secret';
  readonly usages: readonly string[];
}

/** The engine signs, verifies and digests; it neither encrypts, nor derives or generates keys. */
interface SubtleCrypto {
  /** `MD5` is there for old formats only. */
  digest(algorithm: HashAlgorithm | 'MD5', data: BufferSource): Promise<ArrayBuffer>;
  importKey(
    format: 'jwk',
    key: JsonWebKey,
    algorithm: HashedKeyAlgorithm | EcKeyAlgorithm,
    extractable: boolean,
    usages: readonly KeyUsage[],
  ): Promise<CryptoKey>;
  importKey(
    format: 'pkcs8' | 'raw' | 'spki',
    key: BufferSource,
    algorithm: HashedKeyAlgorithm | EcKeyAlgorithm,
    extractable: boolean,
    usages: readonly KeyUsage[],
  ): Promise<CryptoKey>;
  sign(algorithm: SignatureAlgorithm, key: CryptoKey, data: BufferSource): Promise<ArrayBuffer>;
  verify(algorithm: SignatureAlgorithm, key: CryptoKey, signature: BufferSource, data: BufferSource): Promise<boolean>;
}

interface Crypto {
  readonly subtle: SubtleCrypto;
  /** Only while a request is handled. */
  getRandomValues<Values extends ArrayBufferView>(values: Values): Values;
  /** Only while a request is handled. */
  randomUUID(): `${string}-${string}-${string}-${string}-${string}`;
}

declare var crypto: Crypto;
