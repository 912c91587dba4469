import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readTrailer, type ArtifactManifest } from '@playa/common/artifact-trailer';
import type { ObjectStore } from '@playa/common/object-store';
import { readBody } from '../artifacts/read-object.ts';
import { BUCKET_OPTION, functionName, withBucket } from './bucket-option.ts';
import { BUILD_OPTIONS, withBuilt } from './built-artifact.ts';
import { CommandError, wordsOf, type Command, type CommandAnswer, type CommandInput } from './command.ts';
import { upload } from './deploy.ts';
import { readFunction, withArtifact } from './fetched-artifact.ts';
import { sourceKey } from './kept-source.ts';

const MAX_SOURCE_BYTES = 1024 ** 3;

/** `playa rebuild NAME`: compiles a function anew from the very component it was made of. */
export const REBUILD: Command = {
  name: 'rebuild',
  summary:
    'Compiles a function of a bucket anew from its component, for the present engine; --verify compares instead of deploying.',
  usage: ['NAME [--bucket BUCKET] [--from COMPONENT]', 'NAME --verify [--bucket BUCKET] [--from COMPONENT]'],
  options: [
    BUCKET_OPTION,
    { name: 'from', value: 'COMPONENT', help: 'the .wasm (default: the one that playa deploy --keep-source has kept)' },
    {
      name: 'verify',
      help: 'says whether the code in the bucket is what the component compiles to, and changes nothing',
    },
    { name: 'no-compress', help: 'uploads it as it is; otherwise remote buckets get it compressed by zstd' },
    ...BUILD_OPTIONS,
  ],
  run: (input) =>
    withBucket(input, async (store) => {
      const name = functionName(wordsOf(input, ['NAME'])[0]);
      const manifest = await withArtifact(
        await readFunction(store, name),
        async (path) => (await readTrailer(path)).manifest,
      );
      return withSource(input, store, name, manifest, (source) => rebuild(input, store, name, manifest, source));
    }),
};

/** Finds the component, and makes sure that it is the very one. */
async function withSource<T>(
  input: CommandInput,
  store: ObjectStore,
  name: string,
  { source }: ArtifactManifest,
  use: (path: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'playa-source-'));
  try {
    const given = input.text('from');
    let bytes: Buffer;
    if (given !== undefined) bytes = await readFile(given);
    else {
      const object = await store.get(sourceKey(source.sha256));
      if (object === undefined || object === 'not_modified') {
        const hint = 'name it with --from, or deploy with --keep-source';
        throw new CommandError('not_found', `the bucket has not kept the component of ${name}: ${hint}`);
      }
      bytes = await readBody(object.body, MAX_SOURCE_BYTES);
    }
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    if (sha256 !== source.sha256) {
      throw new CommandError('refused', `${name} was built from ${source.sha256}, but this component is ${sha256}`);
    }
    const path = join(folder, `${name.split('/').at(-1)}.wasm`);
    await writeFile(path, bytes);
    return await use(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function rebuild(
  input: CommandInput,
  store: ObjectStore,
  name: string,
  manifest: ArtifactManifest,
  source: string,
): Promise<CommandAnswer> {
  if (!input.isSet('verify')) {
    return withBuilt(input, source, async (built) => {
      const { sha256, before, unchanged } = await upload(input, store, name, built);
      const json = { name, version: sha256, before: before ?? null, unchanged };
      return { text: `${name} is rebuilt as version ${sha256.slice(0, 12)}\n`, json };
    });
  }
  const { cpu, target } = manifest.engine;
  const same: CommandInput = {
    ...input,
    text: (option) => (option === 'cpu' ? cpu : option === 'target' ? target : input.text(option)),
  };
  return withBuilt(same, source, async (built) => {
    const { engine, elf } = built.manifest;
    if (engine.wasmtime !== manifest.engine.wasmtime) {
      const message = `${name} was compiled by Wasmtime ${manifest.engine.wasmtime}, the compiler here is ${engine.wasmtime}: their code differs`;
      throw new CommandError('failed', message);
    }
    const holds = elf.sha256 === manifest.elf.sha256;
    const json = { name, same: holds, code: manifest.elf.sha256, rebuilt: elf.sha256 };
    if (holds) return { text: `${name} is what its component compiles to: ${elf.sha256}\n`, json };
    const text = `${name} is NOT what its component compiles to: the bucket has ${manifest.elf.sha256}, rebuilt it is ${elf.sha256}\n`;
    return { text, json, exit: 'refused' };
  });
}
