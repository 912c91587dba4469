import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import {
  keyStoreFolder,
  loadTrustedKeys,
  openSigningKey,
  readSigningKey,
  replaceSigningKey,
  trustKey,
} from './key-store.ts';
import { KeyStoreError, publicPem } from './public-key.ts';

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

Options:
  --keys FOLDER   the key store (default: $PLAYA_KEYS, else ~/.config/playa/keys)
  --json          write one JSON object to stdout and nothing else, also for an error
  -h, --help      show this text

Exit codes: 0 done, 1 the key store cannot be used, 2 wrong arguments
`;

type Parsed = {
  readonly words: readonly string[];
  readonly folder: string;
  readonly json: boolean;
  readonly replace: boolean;
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

class UsageError extends Error {
  override readonly name = 'UsageError';
}

function parse(args: readonly string[], env: NodeJS.ProcessEnv): Parsed | 'help' {
  const options = {
    keys: { type: 'string' },
    json: { type: 'boolean' },
    replace: { type: 'boolean' },
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
  };
}

type Answer = { readonly text: string; readonly json: object };

async function execute({ words, folder, replace }: Parsed, terminal: KeysTerminal): Promise<Answer> {
  const [verb, ...rest] = words;
  if (replace && verb !== 'create') throw new UsageError('--replace goes with "create" only');
  if (verb === 'list') return list(folder, rest);
  if (verb === 'create') return create(folder, replace, rest);
  if (verb === 'export') return exportKey(folder, rest);
  if (verb === 'trust') return trust(folder, rest, terminal.stdin);
  throw new UsageError(verb === undefined ? 'say what to do: list, create, export or trust' : `"${verb}" is unknown`);
}

async function list(folder: string, rest: readonly string[]): Promise<Answer> {
  expectWords(rest, 0, 'list');
  const signing = await readSigningKey(folder);
  const trusted = [...(await loadTrustedKeys(folder)).values()].map(({ id, name }) => ({ id, name }));
  const lines = [
    `key store  ${folder}`,
    `signs      ${signing?.id ?? 'no key yet; made when a function is built, or by: playa keys create'}`,
    ...trusted.map(({ id, name }) => `trusts     ${id}  ${name}`),
    ...(trusted.length === 0 ? ['trusts     nothing yet'] : []),
  ];
  return { text: `${lines.join('\n')}\n`, json: { folder, signing: signing?.id ?? null, trusted } };
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

function expectWords(words: readonly string[], count: number, usage: string): void {
  if (words.length !== count) throw new UsageError(`usage: playa keys ${usage}`);
}
