import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { OPTIONS } from '../config/options.ts';
import { findBrokenLine, ledgerFiles, type LedgerEntry } from '../egress/ledger.ts';
import { CommandError, type Command } from './command.ts';

/** `playa egress`: the ledger of outgoing connections. */
export const EGRESS: Command = {
  name: 'egress',
  summary: 'Prints the ledger of outgoing connections, of one function or of all, and checks its chain.',
  usage: ['playa egress [--function NAME] [--state-dir DIR]'],
  options: [
    { name: 'function', value: 'NAME', help: 'only what this function did' },
    { name: 'state-dir', value: 'DIR', help: "the server's state folder, as for serve" },
  ],
  run: async ({ text, terminal }) => {
    const folder = join(
      text('state-dir') ?? terminal.env['PLAYA_STATE_DIR'] ?? OPTIONS.stateDir.fallback(terminal.env),
      'egress',
    );
    const name = text('function');
    let content: string;
    try {
      content = ledgerFiles(folder)
        .map((path) => readFileSync(path, 'utf8'))
        .join('');
    } catch (error) {
      throw new CommandError('not_found', `there is no ledger in ${folder}: ${(error as Error).message}`, {
        cause: error,
      });
    }
    const broken = findBrokenLine(content);
    const lines = content.split('\n').filter(Boolean);
    const chosen = lines.filter((line) => name === undefined || functionOf(line) === name);
    const verdict = broken === undefined ? '' : `the chain is broken at line ${broken} of all ${lines.length}\n`;
    return {
      text: `${chosen.map((line) => `${line}\n`).join('')}${verdict}`,
      json: { lines: lines.length, brokenAt: broken ?? null, entries: chosen.map(parse) },
      ...(broken === undefined ? {} : { exit: 'failed' }),
    };
  },
};

function functionOf(line: string): string | undefined {
  return parse(line)?.function;
}

/** A line that a killed server left half written is none. */
function parse(line: string): LedgerEntry | undefined {
  try {
    return JSON.parse(line) as LedgerEntry;
  } catch {
    return undefined;
  }
}
