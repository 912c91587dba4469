import { join, relative } from 'node:path';
import { BuildError } from '../build-error.ts';
import { excerptOf } from '../excerpt.ts';
import { runTool } from '../run-tool.ts';

const PARSE_TIMEOUT_MS = 120_000;

/**
 * Converts the text format of a module or component to the binary format.
 *
 * @param folder temporary folder, which the caller deletes
 * @returns path of the binary
 * @throws BuildError `syntax_error` with the place, `tool_failed`
 */
export async function parseWat(path: string, folder: string, signal?: AbortSignal): Promise<string> {
  const output = join(folder, 'function.wasm');
  const report = await runTool(
    { tool: 'parse-wat', source: path, output },
    { timeoutMs: PARSE_TIMEOUT_MS, folder, ...(signal === undefined ? {} : { signal }) },
  );
  if (report.ok) return output;
  if (report.reason !== 'failed') {
    throw new BuildError('toolchain', 'tool_failed', `the text could not be converted (${report.reason})`, {
      toolOutput: report.message,
    });
  }
  throw syntaxError(path, report.message);
}

/** The tool prints its error as a structure: `… Text { line: 1, col: 8, …, kind: Custom("unknown operator …")`, counted from 0. */
function syntaxError(path: string, toolOutput: string): BuildError {
  const place = /Text \{ line: (\d+), col: (\d+)/.exec(toolOutput);
  const custom = /kind: Custom\("((?:[^"\\]|\\.)*)"\)/.exec(toolOutput)?.[1]?.replaceAll(/\\(["\\])/g, '$1');
  const lexical = /kind: Lex\((.*?)\) \}/.exec(toolOutput)?.[1];
  const message =
    custom ?? (lexical === undefined ? 'the text is not WebAssembly' : `the text cannot be read: ${lexical}`);
  if (place === null) return new BuildError('source', 'syntax_error', message, { toolOutput });
  const [line, column] = [Number(place[1]) + 1, Number(place[2]) + 1];
  const excerpt = excerptOf(path, line, column);
  const file = relative(process.cwd(), path) || path;
  const location = { file, line, column, ...(excerpt === undefined ? {} : { excerpt }) };
  return new BuildError('source', 'syntax_error', message, { location, toolOutput });
}
