// A disposable process: the WebAssembly tools inside jco and componentize-js may be unusable after one bad input.
// It gets one task over its IPC channel, answers once, and ends.

import { readFile, writeFile } from 'node:fs/promises';

/** What the worker is asked to do; paths are absolute but for the bundle's, which is relative to the process's folder. */
export type ToolTask =
  | {
      readonly tool: 'componentize';
      readonly bundle: string;
      readonly wit: string;
      readonly world: string;
      readonly output: string;
    }
  | { readonly tool: 'parse-wat'; readonly source: string; readonly output: string };

/** How it went. */
export type ToolResult = { readonly ok: true } | { readonly ok: false; readonly message: string };

type Splicer = { stubWasi: (module: Uint8Array) => Uint8Array };

async function run(task: ToolTask): Promise<void> {
  if (task.tool === 'componentize') {
    const entry = import.meta.resolve('@bytecodealliance/componentize-js');
    const [{ componentize }, { splicer }] = await Promise.all([
      import('@bytecodealliance/componentize-js'),
      import(new URL('../lib/spidermonkey-embedding-splicer.js', entry).href) as Promise<{ splicer: Splicer }>,
    ]);
    // The splicer's last step replaces WASI functions by traps, and among them the one from which the engine's RSA and
    // ECDSA take their random numbers: importing such a key would end the request. The host has every interface that is
    // imported without that step. https://github.com/bytecodealliance/ComponentizeJS/issues/334
    splicer.stubWasi = (module) => module;
    const { component } = await componentize({ sourcePath: task.bundle, witPath: task.wit, worldName: task.world });
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
