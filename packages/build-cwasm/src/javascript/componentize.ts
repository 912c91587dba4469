import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool } from '../run-tool.ts';
import type { Bundle } from './bundle.ts';
import { BUNDLE_NAME } from './bundle.ts';
import { componentizeFailure, neverInitialized } from './componentize-failure.ts';
import { FUNCTION_WORLD, writeFunctionWit } from './wit.ts';

/** Longest time the function's top-level code and the tool around it may take; some 3 s where nothing else runs. */
const COMPONENTIZE_TIMEOUT_MS = 240_000;

/** How a component is made. */
export type ComponentizeLimits = { readonly timeoutMs?: number; readonly signal?: AbortSignal };

/**
 * Makes a component of a bundle: the engine with the function's modules evaluated.
 *
 * @param folder temporary folder, which the caller deletes
 * @returns path of the component
 * @throws BuildError as componentize-failure.ts maps what the tool says
 */
export async function componentizeBundle(
  bundle: Bundle,
  folder: string,
  { timeoutMs = COMPONENTIZE_TIMEOUT_MS, signal }: ComponentizeLimits = {},
): Promise<string> {
  const wit = join(folder, 'wit');
  await mkdir(join(folder, 'bundle'));
  await writeFile(join(folder, 'bundle', BUNDLE_NAME), bundle.code);
  await writeFunctionWit(wit);
  const output = join(folder, 'function.wasm');
  const report = await runTool(
    { tool: 'componentize', bundle: join('bundle', BUNDLE_NAME), wit, world: FUNCTION_WORLD, output },
    { timeoutMs, folder, ...(signal === undefined ? {} : { signal }) },
  );
  if (!report.ok) throw componentizeFailure(report, bundle, timeoutMs);
  if (!report.output.includes('playa:initialized')) throw neverInitialized(report.output);
  return output;
}
