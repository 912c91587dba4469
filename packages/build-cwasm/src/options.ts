import { parseArgs } from 'node:util';
import { BuildError } from './build-error.ts';

/** One option: its help and the parser come from this row. */
export type OptionRow = {
  readonly name: string;
  readonly short?: string;
  /** Name of the value in the help; absent for a switch. */
  readonly value?: string;
  readonly help: string;
};

/** Values of a parsed command line. */
export type ParsedOptions = {
  readonly positionals: readonly string[];
  readonly text: (name: string) => string | undefined;
  readonly isSet: (name: string) => boolean;
};

/**
 * Parses arguments by a table of options.
 *
 * @throws BuildError `usage`, naming the option
 */
export function parseOptions(args: readonly string[], rows: readonly OptionRow[]): ParsedOptions {
  const options = Object.fromEntries(
    rows.map((row) => [
      row.name,
      {
        type: row.value === undefined ? ('boolean' as const) : ('string' as const),
        ...(row.short === undefined ? {} : { short: row.short }),
      },
    ]),
  );
  let parsed: { values: Record<string, string | boolean | undefined>; positionals: string[] };
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (cause) {
    throw new BuildError('usage', 'usage', firstSentence((cause as Error).message), {
      hint: 'See: build-cwasm --help',
      cause,
    });
  }
  const { values, positionals } = parsed;
  return {
    positionals,
    text: (name) => {
      const value = values[name];
      return typeof value === 'string' ? value : undefined;
    },
    isSet: (name) => values[name] === true,
  };
}

/** The table of options as help text. */
export function describeOptions(rows: readonly OptionRow[]): string {
  const heads = rows.map(({ name, short, value }) => {
    const flag = `${short === undefined ? '    ' : `-${short}, `}--${name}`;
    return value === undefined ? flag : `${flag} ${value}`;
  });
  const width = Math.max(...heads.map((head) => head.length)) + 2;
  return rows.map((row, index) => `  ${heads[index]!.padEnd(width)}${row.help}`).join('\n');
}

/** Node adds advice about `--` that misleads here. */
function firstSentence(message: string): string {
  return message.split('. ')[0]!.replaceAll('\n', ' ');
}
