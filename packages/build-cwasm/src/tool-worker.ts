// A disposable process: the WebAssembly tools inside jco and componentize-js may be unusable after one bad input.
// It gets one task over its IPC channel, answers once, and ends.

import { readFile, writeFile } from 'node:fs/promises';

/** What the worker is asked to do; paths are absolute. */
export type ToolTask =
  | { readonly tool: 'componentize'; readonly source: string; readonly wit: string; readonly world: string; readonly output: string }
  | { readonly tool: 'parse-wat'; readonly source: string; readonly output: string };

/** How it went. */
export type ToolResult = { readonly ok: true } | { readonly ok: false; readonly message: string };

async function run(task: ToolTask): Promise<void> {
  if (task.tool === 'componentize') {
    const { componentize } = await import('@bytecodealliance/componentize-js');
    const { component } = await componentize({ sourcePath: task.source, witPath: task.wit, worldName: task.world });
    await writeFile(task.output, component);
  } else {
    const { parse } = await import('@bytecodealliance/jco');
    await writeFile(task.output, await parse(await readFile(task.source, 'utf8')));
  }
}

process.once('message', (task: ToolTask) => {
  run(task).then(
    () => answer({ ok: true }),
    (error: unknown) => answer({ ok: false, message: describe(error) }),
  );
});

/** jco throws its tools' errors with a payload, whose text is in `message` only as JSON. */
function describe(error: unknown): string {
  const payload = (error as { payload?: unknown } | null)?.payload;
  if (typeof payload === 'string') return payload;
  return error instanceof Error ? error.message : String(error);
}

function answer(result: ToolResult): void {
  process.send?.(result, () => process.disconnect());
}
