import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool } from '../run-tool.ts';
import type { Bundle } from './bundle.ts';
import { BUNDLE_NAME } from './bundle.ts';
import { componentizeFailure, neverInitialized } from './componentize-failure.ts';
import { FUNCTION_WORLD, writeFunctionWit } from './wit.ts';

/** Longest time the function's top-level code and the tool around it may take; some 3 s where nothing else runs. */
const COMPONENTIZE_TIMEOUT_MS = 240_000;

/**
 * Makes a component of a bundle: the engine with the function's modules evaluated.
 *
 * @param folder temporary folder, which the caller deletes
 * @returns path of the component
 * @throws BuildError as componentize-failure.ts maps what the tool says
 */
export async function componentizeBundle(bundle: Bundle, folder: string, signal?: AbortSignal): Promise<string> {
  const sources = join(folder, 'bundle');
  const wit = join(folder, 'wit');
  const temporaryFolder = join(folder, 'tool');
  await mkdir(sources);
  await mkdir(temporaryFolder);
  await writeFile(join(sources, BUNDLE_NAME), bundle.code);
  await writeFunctionWit(wit);
  const output = join(folder, 'function.wasm');
  const report = await runTool(
    { tool: 'componentize', source: join(sources, BUNDLE_NAME), wit, world: FUNCTION_WORLD, output },
    { timeoutMs: COMPONENTIZE_TIMEOUT_MS, temporaryFolder, ...(signal === undefined ? {} : { signal }) },
  );
  if (!report.ok) throw componentizeFailure(report, bundle, COMPONENTIZE_TIMEOUT_MS);
  if (!report.output.includes('playa:initialized')) throw neverInitialized(report.output);
  return output;
}
