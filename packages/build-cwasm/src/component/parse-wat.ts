import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError } from '../build-error.ts';
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
  const temporaryFolder = join(folder, 'tool');
  await mkdir(temporaryFolder);
  const output = join(folder, 'function.wasm');
  const report = await runTool(
    { tool: 'parse-wat', source: path, output },
    { timeoutMs: PARSE_TIMEOUT_MS, temporaryFolder, ...(signal === undefined ? {} : { signal }) },
  );
  if (report.ok) return output;
  if (report.reason !== 'failed') {
    throw new BuildError('toolchain', 'tool_failed', `the text could not be converted (${report.reason})`, {
      toolOutput: report.message,
    });
  }
  // "expected `(`\n     --> <anon>:3:9\n      |\n    3 | …"
  const place = /-->\s*\S*?:(\d+):(\d+)\n([\s\S]*)/.exec(report.message);
  const message = report.message.split('\n')[0]!.replace(/^error: /, '');
  throw new BuildError('source', 'syntax_error', message, {
    ...(place === null
      ? {}
      : { location: { file: path, line: Number(place[1]), column: Number(place[2]), excerpt: place[3]!.trimEnd() } }),
    toolOutput: report.message,
  });
}
