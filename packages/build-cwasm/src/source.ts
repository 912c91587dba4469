import { open, stat } from 'node:fs/promises';
import { basename, extname, resolve } from 'node:path';
import type { SourceKind } from '@playa/common/artifact-manifest';
import { BuildError } from './build-error.ts';
import { wasmKind } from './component/wasm-reader.ts';

/** A source file, and what it is. */
export type Source = {
  /** Absolute path. */
  readonly path: string;
  readonly kind: SourceKind;
  /** The file's name without its extension: the function's name unless another is given. */
  readonly name: string;
};

const SCRIPT_KINDS: Readonly<Record<string, SourceKind>> = {
  '.ts': 'typescript',
  '.tsx': 'typescript',
  '.mts': 'typescript',
  '.js': 'javascript',
  '.jsx': 'javascript',
  '.mjs': 'javascript',
};

/**
 * Looks at a source file and says what it is.
 *
 * @throws BuildError `source_missing`, `source_is_folder`, `source_empty`, `source_unknown`, `source_is_artifact`
 */
export async function classifySource(path: string): Promise<Source> {
  const absolute = resolve(path);
  await checkFile(absolute, path);
  const extension = extname(path).toLowerCase();
  const name = basename(path, extname(path));
  const script = SCRIPT_KINDS[extension];
  if (script !== undefined) return { path: absolute, kind: script, name };
  if (extension === '.wat') return { path: absolute, kind: 'wat', name };
  if (extension === '.cwasm') {
    throw new BuildError('source', 'source_is_artifact', `${path} is an artifact already`, {
      hint: 'Look into it with: build-cwasm inspect FILE. A function is built from its source.',
    });
  }
  const kind = wasmKind(await readHead(absolute));
  if (kind !== undefined) return { path: absolute, kind, name };
  if (extension === '.wasm') {
    throw new BuildError(
      'source',
      'corrupt_wasm',
      `${path} is not WebAssembly: its first eight bytes are of neither a module nor a component`,
    );
  }
  throw new BuildError('source', 'source_unknown', `${path} is of no kind that can be built`, {
    hint: 'A source is .ts, .tsx, .mts, .js, .jsx, .mjs, .wasm or .wat.',
  });
}

async function checkFile(absolute: string, given: string): Promise<void> {
  const stats = await stat(absolute).catch((cause: NodeJS.ErrnoException) => {
    const why =
      cause.code === 'ENOENT' || cause.code === 'ENOTDIR' ? 'does not exist' : `cannot be read (${cause.code})`;
    throw new BuildError('source', 'source_missing', `${given} ${why}`, { cause });
  });
  if (stats.isDirectory()) {
    throw new BuildError('source', 'source_is_folder', `${given} is a folder`, {
      hint: 'Name the file with the handler, such as src/index.ts.',
    });
  }
  if (!stats.isFile()) throw new BuildError('source', 'source_unknown', `${given} is not a regular file`);
  if (stats.size === 0) throw new BuildError('source', 'source_empty', `${given} is empty`);
}

async function readHead(path: string): Promise<Uint8Array> {
  const handle = await open(path).catch((cause: NodeJS.ErrnoException) => {
    throw new BuildError('source', 'source_missing', `${path} cannot be read (${cause.code})`, { cause });
  });
  try {
    const head = Buffer.alloc(8);
    const { bytesRead } = await handle.read(head, 0, 8, 0);
    return head.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
