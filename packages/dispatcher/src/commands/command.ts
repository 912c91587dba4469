import { parseArgs } from 'node:util';
import { BuildError } from '@playa/build-cwasm/build-error';
import { ArtifactError } from '@playa/common/artifact-error';
import { ObjectStoreError } from '@playa/common/object-store-error';
import { KeyStoreError } from '@playa/common/public-key';

/** What a command sees of its process. */
export type CommandTerminal = {
  readonly env: NodeJS.ProcessEnv;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { readonly isTTY?: boolean; write(text: string): unknown };
};

/** One option: its help and the parser come from this row. */
export type CommandOption = {
  readonly name: string;
  /** Name of the value in the help; absent for a switch. */
  readonly value?: string;
  readonly help: string;
};

/** What was given on the command line. */
export type CommandInput = {
  readonly words: readonly string[];
  readonly text: (name: string) => string | undefined;
  readonly isSet: (name: string) => boolean;
  readonly json: boolean;
  readonly terminal: CommandTerminal;
};

/** What a command says: to people, and to programs. `exit` where it has something bad to say in full. */
export type CommandAnswer = { readonly text: string; readonly json: object; readonly exit?: CommandExit };

/** A command of `playa` that talks to a bucket. */
export type Command = {
  readonly name: string;
  readonly summary: string;
  /** Lines of the help, each a way to call it. */
  readonly usage: readonly string[];
  readonly options: readonly CommandOption[];
  readonly run: (input: CommandInput) => Promise<CommandAnswer>;
};

/** How these commands end: one table for all of them. */
export const COMMAND_EXITS = {
  ok: { code: 0, meaning: 'done' },
  failed: { code: 1, meaning: 'it failed: the message says why' },
  usage: { code: 2, meaning: 'wrong arguments' },
  not_found: { code: 3, meaning: 'there is no such function or version' },
  conflict: { code: 4, meaning: 'somebody else changed the function at the same time' },
  refused: { code: 5, meaning: 'not an artifact, not trusted, or not what it was built from' },
  unanswered: { code: 6, meaning: 'deployed, but the server did not answer with it in time' },
} as const;

export type CommandExit = keyof typeof COMMAND_EXITS;

/** An expected failure, said in one message without a stack. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exit: CommandExit;

  constructor(exit: CommandExit, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exit = exit;
  }
}

const COMMON_OPTIONS: readonly CommandOption[] = [
  { name: 'json', help: 'write one JSON object to stdout and nothing else, also for an error' },
  { name: 'help', help: 'show this text' },
];

/** Runs a command: parses, calls, writes its answer or its error. @returns the exit code */
export async function runCommand(
  command: Command,
  args: readonly string[],
  terminal: CommandTerminal,
): Promise<number> {
  const json = args.includes('--json');
  try {
    const input = parse(command, args, terminal, json);
    if (input === 'help') {
      terminal.stdout.write(helpOf(command));
      return COMMAND_EXITS.ok.code;
    }
    const answer = await command.run(input);
    const exit = answer.exit ?? 'ok';
    terminal.stdout.write(json ? `${JSON.stringify({ ok: exit === 'ok', ...answer.json })}\n` : answer.text);
    return COMMAND_EXITS[exit].code;
  } catch (error) {
    const failure = asCommandError(error);
    const { exit, message } = failure;
    if (json) terminal.stdout.write(`${JSON.stringify({ ok: false, error: { code: exit, message } })}\n`);
    else terminal.stderr.write(`error: ${message}\n${exit === 'usage' ? `See: playa ${command.name} --help\n` : ''}`);
    return COMMAND_EXITS[exit].code;
  }
}

/** The help of a command. */
export function helpOf({ name, summary, usage, options }: Command): string {
  const rows = [...options, ...COMMON_OPTIONS];
  const heads = rows.map((row) => `--${row.name}${row.value === undefined ? '' : ` ${row.value}`}`);
  const width = Math.max(...heads.map(({ length }) => length)) + 2;
  const exits = Object.values(COMMAND_EXITS).map(({ code, meaning }) => `  ${code}  ${meaning}`);
  return [
    summary,
    '',
    'Usage:',
    ...usage.map((line) => `  playa ${name} ${line}`),
    '',
    'Options:',
    ...rows.map((row, index) => `  ${heads[index]!.padEnd(width)}${row.help}`),
    '',
    'Exit codes:',
    ...exits,
    '',
  ].join('\n');
}

/** The words of the command line, exactly as many as there are names for them. @throws {CommandError} `usage` */
export function wordsOf<const Names extends readonly string[]>(
  { words }: CommandInput,
  names: Names,
): { [Name in keyof Names]: string } {
  if (words.length < names.length) throw new CommandError('usage', `${names[words.length]} is missing`);
  if (words.length > names.length) throw new CommandError('usage', `${words[names.length]} is too much`);
  return [...words] as { [Name in keyof Names]: string };
}

function parse(
  command: Command,
  args: readonly string[],
  terminal: CommandTerminal,
  json: boolean,
): CommandInput | 'help' {
  const options = Object.fromEntries(
    [...command.options, ...COMMON_OPTIONS].map(({ name, value }) => [
      name,
      { type: value === undefined ? ('boolean' as const) : ('string' as const) },
    ]),
  );
  let parsed: { values: Record<string, string | boolean | undefined>; positionals: string[] };
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (cause) {
    throw new CommandError('usage', (cause as Error).message.split('. ')[0]!.replaceAll('\n', ' '), { cause });
  }
  const { values, positionals } = parsed;
  if (values['help'] === true) return 'help';
  return {
    words: positionals,
    text: (name) => (typeof values[name] === 'string' ? values[name] : undefined),
    isSet: (name) => values[name] === true,
    json,
    terminal,
  };
}

function asCommandError(error: unknown): CommandError {
  if (error instanceof CommandError) return error;
  if (error instanceof ArtifactError) return new CommandError('refused', error.message, { cause: error });
  if (error instanceof BuildError) {
    const message = [error.message, error.hint].filter((part) => part !== undefined).join('. ');
    return new CommandError(error.exit === 'usage' ? 'usage' : 'failed', message, { cause: error });
  }
  const expected = error instanceof ObjectStoreError || error instanceof KeyStoreError;
  if (expected || (error as NodeJS.ErrnoException).code !== undefined) {
    return new CommandError('failed', (error as Error).message, { cause: error });
  }
  throw error;
}
