import { relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import type { RolldownLog } from 'rolldown';
import type { SourceLocation } from '../build-error.ts';
import { BuildError } from '../build-error.ts';
import { excerptOf } from '../excerpt.ts';

/** Turns what the bundler throws or logs into one BuildError about the user's file. */
export function bundleFailure(thrown: unknown, file: string): BuildError {
  if (thrown instanceof BuildError) return thrown;
  const logs = logsOf(thrown);
  const first = logs[0];
  if (first === undefined) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new BuildError('source', 'bundle_failed', `bundling failed: ${plain(message)}`, { cause: thrown });
  }
  const location = locationOf(first, file);
  const facts = {
    cause: thrown,
    ...(location === undefined ? {} : { location }),
    toolOutput: logs.map((log) => plain(log.message)).join('\n\n'),
  };
  if (first.code === 'UNRESOLVED_IMPORT') {
    const name = /"([^"]+)"|'([^']+)'/.exec(plain(first.message));
    const wanted = name?.[1] ?? name?.[2] ?? 'a module';
    return new BuildError('source', 'unresolved_import', `cannot find the import "${wanted}"`, {
      ...facts,
      hint: importHint(wanted),
    });
  }
  const code = first.code === 'PARSE_ERROR' ? 'syntax_error' : 'bundle_failed';
  return new BuildError('source', code, firstLine(plain(first.message)), facts);
}

function importHint(name: string): string {
  if (name.startsWith('.') || name.startsWith('/')) return 'Check the path and the file name.';
  if (/^[a-z]+:/.test(name)) return 'Modules of this kind cannot be imported by a JavaScript function.';
  const parts = name.split('/');
  const packageName = parts.slice(0, name.startsWith('@') ? 2 : 1).join('/');
  return `Install it where the function's package.json is: npm install ${packageName}`;
}

function logsOf(thrown: unknown): RolldownLog[] {
  if (Array.isArray(thrown)) return thrown as RolldownLog[];
  const errors = (thrown as { errors?: unknown } | null)?.errors;
  return Array.isArray(errors) ? (errors as RolldownLog[]) : [];
}

function locationOf(log: RolldownLog, file: string): SourceLocation | undefined {
  const found = log.loc?.file ?? log.id;
  if (found === undefined && log.loc === undefined) return undefined;
  const path = found ?? file;
  const line = log.loc?.line;
  const column = log.loc?.column;
  const excerpt = line === undefined ? undefined : excerptOf(path, line, (column ?? 0) + 1);
  return {
    file: relative(process.cwd(), path) || path,
    ...(line === undefined ? {} : { line }),
    ...(column === undefined ? {} : { column: column + 1 }),
    ...(excerpt === undefined ? {} : { excerpt }),
  };
}

function plain(text: string): string {
  return stripVTControlCharacters(text);
}

function firstLine(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines[0]?.replace(/^\[[A-Z_]+\] /, '') ?? 'bundling failed';
}
