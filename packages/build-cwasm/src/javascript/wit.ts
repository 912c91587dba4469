import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Name of the world that a JavaScript function is built against. */
export const FUNCTION_WORLD = 'function';

// The engine's own handler is of exactly this version; jco has the interfaces of 0.2.12 only, which declare the same.
const ENGINE_WASI = '0.2.10';
const SHIPPED_WASI = '0.2.12';

const PACKAGES = ['cli', 'clocks', 'filesystem', 'http', 'io', 'random', 'sockets'];

/**
 * Writes the WIT files that a JavaScript function is built against.
 *
 * @param folder is made; afterwards holds `world.wit` and `deps/`
 */
export async function writeFunctionWit(folder: string): Promise<void> {
  const jco = dirname(fileURLToPath(import.meta.resolve('@bytecodealliance/jco')));
  const shipped = join(jco, '..', 'lib', 'wit', 'builtin', SHIPPED_WASI);
  for (const name of PACKAGES) {
    const text = await readFile(join(shipped, `wasi-${name}`, 'package.wit'), 'utf8');
    const target = join(folder, 'deps', name);
    await mkdir(target, { recursive: true });
    await writeFile(join(target, 'package.wit'), text.replaceAll(`@${SHIPPED_WASI}`, `@${ENGINE_WASI}`));
  }
  await writeFile(
    join(folder, 'world.wit'),
    `package playa:guest;

world ${FUNCTION_WORLD} {
  import wasi:cli/environment@${ENGINE_WASI};
  import wasi:http/outgoing-handler@${ENGINE_WASI};
  export wasi:http/incoming-handler@${ENGINE_WASI};
}
`,
  );
}
