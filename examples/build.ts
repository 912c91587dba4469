// Builds the example functions: examples/build.ts --out FOLDER [--force]
// Those whose sources and tools are as they were, and whose artifact is there and trusted, are left alone.

import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { keyStoreFolder } from '@playa/common/key-store';
import { BuildError } from '../packages/build-cwasm/src/build-error.ts';
import { buildFunction, stepsOf } from '../packages/build-cwasm/src/build-function.ts';
import { chooseTarget } from '../packages/build-cwasm/src/compile/target.ts';
import { BUILT_WASMTIME, findWasmtime } from '../packages/build-cwasm/src/compile/wasmtime-command.ts';
import { createProgress } from '../packages/build-cwasm/src/progress.ts';
import { classifySource } from '../packages/build-cwasm/src/source.ts';
import { digestInputs, isUpToDate, writeStamp } from './build-stamp.ts';

const EXAMPLES = [
  { name: 'echo', source: 'echo/echo.wasm' },
  { name: 'hello', source: 'hello/hello.ts' },
  { name: 'hono', source: 'hono/app.ts' },
];

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () =>
    interrupted.abort(new BuildError('interrupted', 'interrupted', `interrupted by ${signal}`)),
  );
}

const { values } = parseArgs({ options: { out: { type: 'string' }, force: { type: 'boolean' } } });
if (values.out === undefined) {
  console.error('usage: examples/build.ts --out FOLDER [--force]');
  process.exitCode = 2;
} else {
  try {
    await buildExamples(resolve(values.out), values.force === true);
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error([`error: ${error.message}`, error.hint, error.toolOutput].filter(Boolean).join('\n'));
    process.exitCode = 1;
  }
}

/** Builds the examples into a folder, which is made. */
async function buildExamples(outputFolder: string, force: boolean): Promise<void> {
  await mkdir(outputFolder, { recursive: true });
  const keysFolder = keyStoreFolder(process.env);
  const target = chooseTarget(undefined, undefined, process.arch);
  for (const [index, { name, source }] of EXAMPLES.entries()) {
    const output = join(outputFolder, `${name}.cwasm`);
    const inputs = await digestInputs(name, target);
    const title = `${name} (${index + 1} of ${EXAMPLES.length})`;
    if (!force && (await isUpToDate(output, inputs, keysFolder))) {
      console.error(`${title}: up to date`);
      continue;
    }
    const classified = await classifySource(join(import.meta.dirname, source));
    await buildFunction({
      source: classified,
      output,
      name,
      target,
      wasmtime: await findWasmtime({ env: process.env, builtPath: BUILT_WASMTIME }),
      keysFolder,
      progress: createProgress(title, stepsOf(classified), { stream: process.stderr, now: () => performance.now() }),
      now: () => new Date(),
      signal: interrupted.signal,
    });
    await writeStamp(output, inputs);
  }
}
