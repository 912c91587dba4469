import type { KeyObject } from 'node:crypto';
import { createHash, createPublicKey } from 'node:crypto';

/** A key or a key store cannot be used; the message names the file and the cure, never key material. */
export class KeyStoreError extends Error {
  override readonly name = 'KeyStoreError';
}

/** The first 16 hex digits of the SHA-256 of the raw 32-byte public key. */
export function keyId(publicKey: KeyObject): string {
  const { x } = publicKey.export({ format: 'jwk' });
  if (typeof x !== 'string') throw new KeyStoreError('not an Ed25519 public key');
  return createHash('sha256').update(Buffer.from(x, 'base64url')).digest('hex').slice(0, 16);
}

/** A public key as SPKI PEM. */
export function publicPem(publicKey: KeyObject): string {
  return publicKey.export({ format: 'pem', type: 'spki' }) as string;
}

/**
 * Reads an Ed25519 public key.
 *
 * @param pem SPKI PEM
 * @param origin where it comes from, for the message
 * @throws KeyStoreError when it is anything else, a private key included
 */
export function parsePublicKey(pem: string, origin: string): KeyObject {
  // createPublicKey would take a private key too: then one lies where only public ones belong.
  if (!pem.trimStart().startsWith('-----BEGIN PUBLIC KEY-----')) {
    throw new KeyStoreError(
      `${origin} holds no public key in PEM form (-----BEGIN PUBLIC KEY-----); see: playa keys export`,
    );
  }
  let publicKey: KeyObject;
  try {
    publicKey = createPublicKey(pem);
  } catch (cause) {
    throw new KeyStoreError(`${origin} holds a damaged public key; export it again with: playa keys export`, { cause });
  }
  if (publicKey.asymmetricKeyType !== 'ed25519') {
    throw new KeyStoreError(`${origin} holds a key of type ${publicKey.asymmetricKeyType}; an Ed25519 key is needed`);
  }
  return publicKey;
}
