import { flagOf, keyOf, OPTION_NAMES, variableOf } from './option-names.ts';
import type { OptionKind } from './option-kind.ts';
import { OPTIONS, type Option, type OptionName } from './options.ts';

/** The text of `playa serve --help`. */
export function serveHelp(): string {
  const lines = ['Usage: playa serve [OPTIONS]', '', 'Serves the functions of a bucket.', ''];
  for (const [group, names] of byGroup()) {
    lines.push(`${group}:`);
    for (const name of names) {
      const option: Option = OPTIONS[name];
      lines.push(`  ${`${flagOf(name)} ${placeholder(option.kind)}`.trim()}`);
      lines.push(`        ${option.description}`);
      lines.push(`        Default: ${defaultText(option).replaceAll('`', '')}. Environment: ${variableOf(name)}`);
    }
    lines.push('');
  }
  lines.push('Files:', '  --config FILE    Reads options from FILE instead of playa.toml.');
  lines.push('  --no-config      Reads no file.', '');
  lines.push('A flag wins over the environment, the environment over the file, the file over the default.');
  return `${lines.join('\n')}\n`;
}

/** The text of docs/configuration.md. */
export function configurationPage(): string {
  const lines = [
    '# Configuration of `playa serve`',
    '',
    '<!-- Written by `npx playa docs configuration`; edit packages/dispatcher/src/config/options.ts instead. -->',
    '',
    'Every option has a flag, an environment variable and a key in `playa.toml` (in the working folder, or the file that `--config` names;',
    '`--no-config` reads none). A flag wins over the environment, the environment over the file, the file over the default.',
    'Unknown flags, variables that begin with `PLAYA_` and keys stop the start, and so do values outside of their range.',
    '',
    'Sizes are bytes; `k`, `m`, `g` stand for powers of 1024. Times are milliseconds; `s`, `m`, `h` are understood.',
    '',
  ];
  for (const [group, names] of byGroup()) {
    lines.push(`## ${group}`, '', '| flag | environment | key | default | what it does |', '|---|---|---|---|---|');
    for (const name of names) {
      const option: Option = OPTIONS[name];
      const flag = `\`${`${flagOf(name)} ${placeholder(option.kind)}`.trim()}\``.replaceAll('|', '\\|');
      const cells = [flag, `\`${variableOf(name)}\``, `\`${keyOf(name)}\``, defaultText(option), option.description];
      lines.push(`| ${cells.join(' | ')} |`);
    }
    lines.push('');
  }
  return `${lines.join('\n').trimEnd()}\n`;
}

function byGroup(): Map<string, OptionName[]> {
  return Map.groupBy(OPTION_NAMES, (name) => OPTIONS[name].group);
}

function placeholder(kind: OptionKind): string {
  switch (kind.type) {
    case 'choice':
      return kind.choices.join('|');
    case 'count':
      return 'N';
    case 'bytes':
      return 'BYTES';
    case 'milliseconds':
      return 'TIME';
    case 'address':
      return 'HOST:PORT';
    case 'path':
      return 'PATH';
    case 'text':
      return 'TEXT';
    case 'switch':
      return '';
  }
}

function defaultText(option: Option): string {
  return option.fallbackText ?? `\`${option.fallback({})}\``;
}
