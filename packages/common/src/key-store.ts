import type { KeyObject } from 'node:crypto';
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createFile, replaceFile } from './atomic-file.ts';
import { KeyStoreError, keyId, parsePublicKey, publicPem } from './public-key.ts';

/** A key pair that signs artifacts; `id` as in docs/artifact.md. */
export type SigningKey = { readonly id: string; readonly privateKey: KeyObject; readonly publicKey: KeyObject };

/** A public key whose artifacts are loaded. `name` is its file's name without `.pub`. */
export type TrustedKey = {
  readonly id: string;
  readonly name: string;
  readonly publicKey: KeyObject;
  /** In milliseconds since 1970; what it signed is loaded within this time only. */
  readonly notBeforeMs?: number;
  readonly notAfterMs?: number;
};

/** Trusted keys by their id. */
export type TrustedKeys = ReadonlyMap<string, TrustedKey>;

/** Name under which the own public key is trusted. */
export const OWN_KEY_NAME = 'own';

const KEY_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const MAX_PEM_BYTES = 4_096;

/** The folder of the key store: `PLAYA_KEYS`, else `XDG_CONFIG_HOME/playa/keys`, else `~/.config/playa/keys`. */
export function keyStoreFolder(env: NodeJS.ProcessEnv): string {
  if (env['PLAYA_KEYS']) return env['PLAYA_KEYS'];
  return join(env['XDG_CONFIG_HOME'] || join(env['HOME'] || homedir(), '.config'), 'playa', 'keys');
}

/**
 * Opens the signing key of a store and makes it when there is none, safely when several processes do so at once:
 * all of them get the same key. Sees to it that the own public key is trusted.
 *
 * @throws KeyStoreError when a file is there but unusable; errors of the file system as they are
 */
export async function openSigningKey(folder: string): Promise<SigningKey> {
  const signingKey = (await readSigningKey(folder)) ?? (await makeSigningKey(folder));
  const own = publicPem(signingKey.publicKey);
  const path = trustedPath(folder, OWN_KEY_NAME);
  if ((await readIfThere(path)) !== own) await replaceFile(path, own, 0o644);
  return signingKey;
}

/** The signing key of a store, or undefined when there is none. Throws KeyStoreError when it is unusable. */
export async function readSigningKey(folder: string): Promise<SigningKey | undefined> {
  const path = signingPath(folder);
  const pem = await readIfThere(path);
  if (pem === undefined) return undefined;
  const mode = (await stat(path)).mode & 0o777;
  // Reading by the group is allowed: a container's secret mount may have it.
  if ((mode & 0o027) !== 0) {
    throw new KeyStoreError(
      `${path} has mode ${mode.toString(8)}: others could read or change the signing key; run chmod 600 on it`,
    );
  }
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(pem);
  } catch (cause) {
    throw new KeyStoreError(`${path} holds no private key in PEM form; restore it, or move it away to get a new one`, {
      cause,
    });
  }
  if (privateKey.asymmetricKeyType !== 'ed25519') {
    throw new KeyStoreError(`${path} holds a key of type ${privateKey.asymmetricKeyType}; an Ed25519 key is needed`);
  }
  const publicKey = createPublicKey(privateKey);
  return { id: keyId(publicKey), privateKey, publicKey };
}

/**
 * Makes a new signing key in place of the present one, which stays trusted as `own-<id>`, so that what it signed still loads.
 *
 * @throws KeyStoreError when the present key is unusable
 */
export async function replaceSigningKey(folder: string): Promise<SigningKey> {
  const present = await readSigningKey(folder);
  if (present !== undefined) {
    await replaceFile(trustedPath(folder, `${OWN_KEY_NAME}-${present.id}`), publicPem(present.publicKey), 0o644);
  }
  await makeFolder(folder);
  await replaceFile(signingPath(folder), newPrivatePem(), 0o600);
  return openSigningKey(folder);
}

/**
 * All trusted keys of a store; none when the folder is missing. Makes no key and writes nothing.
 *
 * @throws KeyStoreError naming a `.pub` file that holds no Ed25519 public key
 */
export async function loadTrustedKeys(folder: string): Promise<TrustedKeys> {
  const trusted = new Map<string, TrustedKey>();
  const names = await readdir(join(folder, 'trusted')).catch(ignoreMissing);
  for (const file of (names ?? []).toSorted()) {
    if (!file.endsWith('.pub')) continue;
    const path = join(folder, 'trusted', file);
    const pem = await readIfThere(path);
    if (pem === undefined) continue;
    const publicKey = parsePublicKey(pem, path);
    const id = keyId(publicKey);
    const name = file.slice(0, -'.pub'.length);
    trusted.set(id, { id, name, publicKey, ...(await readValidity(join(folder, 'trusted', `${name}.validity`))) });
  }
  return trusted;
}

/**
 * Trusts a public key under a name.
 *
 * @param pem SPKI PEM, as `exportPublicKey` returns it
 * @throws KeyStoreError for a bad name, the name `own`, a name taken by another key, or a PEM that is no Ed25519 public key
 */
export async function trustKey(folder: string, name: string, pem: string): Promise<TrustedKey> {
  if (!KEY_NAME.test(name)) {
    throw new KeyStoreError(`"${name}" is no name for a key; use letters, digits, ".", "_" and "-", at most 64`);
  }
  if (name === OWN_KEY_NAME) {
    throw new KeyStoreError('the name "own" belongs to the key of this store; choose another');
  }
  const publicKey = parsePublicKey(pem, 'the given file');
  const path = trustedPath(folder, name);
  const present = await readIfThere(path);
  if (present !== undefined && keyId(parsePublicKey(present, path)) !== keyId(publicKey)) {
    throw new KeyStoreError(`another key is trusted as "${name}" already; choose another name, or delete ${path}`);
  }
  await makeFolder(folder);
  await replaceFile(path, publicPem(publicKey), 0o644);
  return { id: keyId(publicKey), name, publicKey };
}

/** Limits the time in which what a trusted key signed is loaded; `undefined` leaves that end open. */
export async function limitKey(
  folder: string,
  name: string,
  validity: { notBefore?: string | undefined; notAfter?: string | undefined },
): Promise<void> {
  const lines = Object.entries(validity).flatMap(([end, time]) => (time === undefined ? [] : [`${end} ${time}`]));
  const path = join(folder, 'trusted', `${name}.validity`);
  const text = lines.map((line) => `${line}\n`).join('');
  parseValidity(text, path);
  await replaceFile(path, text, 0o644);
}

async function readValidity(path: string): Promise<Pick<TrustedKey, 'notBeforeMs' | 'notAfterMs'>> {
  const text = await readIfThere(path);
  return text === undefined ? {} : parseValidity(text, path);
}

function parseValidity(text: string, path: string): Pick<TrustedKey, 'notBeforeMs' | 'notAfterMs'> {
  const validity: { notBeforeMs?: number; notAfterMs?: number } = {};
  for (const line of text.split('\n').filter((each) => each.trim() !== '')) {
    const [end, time = ''] = line.trim().split(/\s+/);
    const atMs = Date.parse(time);
    if ((end !== 'notBefore' && end !== 'notAfter') || !/^\d{4}-\d{2}-\d{2}/.test(time) || Number.isNaN(atMs)) {
      throw new KeyStoreError(`${path}: "${line}" is neither "notBefore TIME" nor "notAfter TIME" (ISO 8601)`);
    }
    validity[`${end}Ms`] = atMs;
  }
  return validity;
}

async function makeSigningKey(folder: string): Promise<SigningKey> {
  await makeFolder(folder);
  await createFile(signingPath(folder), newPrivatePem(), 0o600);
  const signingKey = await readSigningKey(folder);
  if (signingKey === undefined) throw new KeyStoreError(`${signingPath(folder)} vanished while it was made; try again`);
  return signingKey;
}

function newPrivatePem(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
}

function signingPath(folder: string): string {
  return join(folder, 'signing.pem');
}

function trustedPath(folder: string, name: string): string {
  return join(folder, 'trusted', `${name}.pub`);
}

async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await mkdir(join(folder, 'trusted'), { recursive: true });
}

async function readIfThere(path: string): Promise<string | undefined> {
  const size = await stat(path)
    .then((stats) => stats.size)
    .catch(ignoreMissing);
  if (size === undefined) return undefined;
  if (size > MAX_PEM_BYTES) throw new KeyStoreError(`${path} is too long for a key (${size} bytes)`);
  return (await readFile(path, 'utf8').catch(ignoreMissing)) ?? undefined;
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
