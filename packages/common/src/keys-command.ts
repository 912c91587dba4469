import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import {
  keyStoreFolder,
  limitKey,
  loadTrustedKeys,
  openSigningKey,
  readSigningKey,
  replaceSigningKey,
  trustKey,
} from './key-store.ts';
import { KeyStoreError, publicPem } from './public-key.ts';
import { loadTrust, revoke } from './trust.ts';

/** What the command sees of its process. */
export type KeysTerminal = {
  readonly env: NodeJS.ProcessEnv;
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
};

/** Help of `playa keys`. */
export const KEYS_HELP = `Shows and changes the keys that sign functions and that are trusted.

Usage:
  playa keys list                 the signing key and all trusted keys
  playa keys create [--replace]   make a signing key; --replace makes a new one, and the present one stays trusted
  playa keys export               write the public half of the signing key to stdout
  playa keys trust NAME FILE      trust a public key under a name; FILE as "export" writes it, - is stdin
  playa keys limit NAME           load what a trusted key signed only within --not-before TIME and --not-after TIME (ISO 8601)
  playa keys revoke KEY-ID        load nothing any more that this key signed
  playa keys revoke DIGEST        load this code no more, nor any that was made from this source: the SHA-256 of either,
                                  as "playa verify" shows it; running servers heed it within seconds

Options:
  --keys FOLDER   the key store (default: $PLAYA_KEYS, else ~/.config/playa/keys)
  --not-before, --not-after TIME   with "limit"
  --because TEXT  with "revoke": a comment in the list
  --json          write one JSON object to stdout and nothing else, also for an error
  -h, --help      show this text

Exit codes: 0 done, 1 the key store cannot be used, 2 wrong arguments
`;

type Parsed = {
  readonly words: readonly string[];
  readonly folder: string;
  readonly json: boolean;
  readonly replace: boolean;
  readonly notBefore: string | undefined;
  readonly notAfter: string | undefined;
  readonly because: string | undefined;
};

/**
 * Runs `playa keys`.
 *
 * @param args what follows `keys`
 * @returns the exit code: 0 done, 1 the key store cannot be used, 2 wrong arguments
 */
export async function runKeysCommand(args: readonly string[], terminal: KeysTerminal): Promise<number> {
  const json = args.includes('--json');
  try {
    const parsed = parse(args, terminal.env);
    const answer = parsed === 'help' ? { text: KEYS_HELP, json: { help: KEYS_HELP } } : await execute(parsed, terminal);
    terminal.stdout.write(json ? `${JSON.stringify({ ok: true, ...answer.json })}\n` : answer.text);
    return 0;
  } catch (error) {
    const usage = error instanceof UsageError;
    if (!usage && !(error instanceof KeyStoreError) && (error as NodeJS.ErrnoException).code === undefined) throw error;
    const { message } = error as Error;
    const code = usage ? 'usage' : 'key_store';
    if (json) terminal.stdout.write(`${JSON.stringify({ ok: false, error: { code, message } })}\n`);
    else terminal.stderr.write(`error: ${message}\n${usage ? 'See: playa keys --help\n' : ''}`);
    return usage ? 2 : 1;
  }
}

const KEY_ID_DIGITS = 16;

class UsageError extends Error {
  override readonly name = 'UsageError';
}

function parse(args: readonly string[], env: NodeJS.ProcessEnv): Parsed | 'help' {
  const options = {
    keys: { type: 'string' },
    json: { type: 'boolean' },
    replace: { type: 'boolean' },
    'not-before': { type: 'string' },
    'not-after': { type: 'string' },
    because: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  } as const;
  let parsed;
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (cause) {
    throw new UsageError((cause as Error).message.split('. ')[0]!, { cause });
  }
  const { values, positionals } = parsed;
  if (values.help === true) return 'help';
  return {
    words: positionals,
    folder: values.keys ?? keyStoreFolder(env),
    json: values.json === true,
    replace: values.replace === true,
    notBefore: values['not-before'],
    notAfter: values['not-after'],
    because: values.because,
  };
}

type Answer = { readonly text: string; readonly json: object };

async function execute(parsed: Parsed, terminal: KeysTerminal): Promise<Answer> {
  const { words, folder, replace } = parsed;
  const [verb, ...rest] = words;
  if (replace && verb !== 'create') throw new UsageError('--replace goes with "create" only');
  if (verb === 'list') return list(folder, rest);
  if (verb === 'create') return create(folder, replace, rest);
  if (verb === 'export') return exportKey(folder, rest);
  if (verb === 'trust') return trust(folder, rest, terminal.stdin);
  if (verb === 'limit') return limit(parsed, rest);
  if (verb === 'revoke') return revokeWord(parsed, rest);
  const verbs = 'list, create, export, trust, limit or revoke';
  throw new UsageError(verb === undefined ? `say what to do: ${verbs}` : `"${verb}" is unknown`);
}

async function list(folder: string, rest: readonly string[]): Promise<Answer> {
  expectWords(rest, 0, 'list');
  const signing = await readSigningKey(folder);
  const { keys, revoked } = await loadTrust(folder);
  const trusted = [...keys.values()].map(({ id, name, notBeforeMs, notAfterMs }) => ({
    id,
    name,
    ...(notBeforeMs === undefined ? {} : { notBefore: new Date(notBeforeMs).toISOString() }),
    ...(notAfterMs === undefined ? {} : { notAfter: new Date(notAfterMs).toISOString() }),
    ...(revoked.keys.has(id) ? { revoked: true } : {}),
  }));
  const lines = [
    `key store  ${folder}`,
    `signs      ${signing?.id ?? 'no key yet; made when a function is built, or by: playa keys create'}`,
    ...trusted.map(({ id, name, ...limits }) => {
      const more = Object.entries(limits).map(([what, value]) => (value === true ? what : `${what} ${value}`));
      return ['trusts     ' + id, name, ...more].join('  ');
    }),
    ...[...revoked.artifacts].map((digest) => `revoked    ${digest}`),
    ...(trusted.length === 0 ? ['trusts     nothing yet'] : []),
  ];
  return {
    text: `${lines.join('\n')}\n`,
    json: { folder, signing: signing?.id ?? null, trusted, revoked: [...revoked.artifacts] },
  };
}

async function create(folder: string, replace: boolean, rest: readonly string[]): Promise<Answer> {
  expectWords(rest, 0, 'create');
  const present = await readSigningKey(folder);
  if (present !== undefined && !replace) {
    throw new KeyStoreError(`${folder} has a signing key already, ${present.id}; --replace makes a new one`);
  }
  const { id } = await (replace ? replaceSigningKey(folder) : openSigningKey(folder));
  const kept = present === undefined ? '' : `; ${present.id} stays trusted`;
  return { text: `signing key ${id} made in ${folder}${kept}\n`, json: { folder, signing: id } };
}

async function exportKey(folder: string, rest: readonly string[]): Promise<Answer> {
  expectWords(rest, 0, 'export');
  const signing = await readSigningKey(folder);
  if (signing === undefined) throw new KeyStoreError(`${folder} has no signing key; make one with: playa keys create`);
  const pem = publicPem(signing.publicKey);
  return { text: pem, json: { id: signing.id, publicKey: pem } };
}

async function trust(folder: string, rest: readonly string[], stdin: NodeJS.ReadableStream): Promise<Answer> {
  expectWords(rest, 2, 'trust NAME FILE');
  const [name, file] = rest as [string, string];
  const pem = file === '-' ? await text(stdin) : await readFile(file, 'utf8');
  const { id } = await trustKey(folder, name, pem);
  return { text: `${id} is trusted as "${name}" in ${folder}\n`, json: { folder, id, name } };
}

async function limit({ folder, notBefore, notAfter }: Parsed, rest: readonly string[]): Promise<Answer> {
  expectWords(rest, 1, 'limit NAME [--not-before TIME] [--not-after TIME]');
  const name = rest[0]!;
  const known = [...(await loadTrustedKeys(folder)).values()].some((key) => key.name === name);
  if (!known) throw new KeyStoreError(`no key is trusted as "${name}" in ${folder}; see: playa keys list`);
  await limitKey(folder, name, { notBefore, notAfter });
  const said = `what "${name}" signed is loaded from ${notBefore ?? 'ever'} to ${notAfter ?? 'ever'}\n`;
  return { text: said, json: { folder, name, notBefore: notBefore ?? null, notAfter: notAfter ?? null } };
}

async function revokeWord({ folder, because }: Parsed, rest: readonly string[]): Promise<Answer> {
  expectWords(rest, 1, 'revoke KEY-ID | revoke DIGEST');
  const id = rest[0]!.toLowerCase();
  const kind = id.length === KEY_ID_DIGITS ? 'key' : 'artifact';
  const comment = (because ?? `revoked ${new Date().toISOString()}`).replace(/[\r\n]+/g, ' ');
  const added = await revoke(folder, kind, id, comment);
  const said = `${kind} ${id} ${added ? 'is revoked' : 'was revoked already'} in ${folder}\n`;
  return { text: said, json: { folder, kind, id, added } };
}

function expectWords(words: readonly string[], count: number, usage: string): void {
  if (words.length !== count) throw new UsageError(`usage: playa keys ${usage}`);
}
