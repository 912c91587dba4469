import type { ArtifactManifest } from '@playa/common/artifact-manifest';
import { readTrailer } from '@playa/common/artifact-trailer';
import { loadTrust, verifyTrailer } from '@playa/common/trust';
import { ArtifactError } from '@playa/common/artifact-error';
import { checkEngine, describeHostEngine } from '../artifacts/engine-check.ts';
import { WASMTIME_VERSION } from '../artifacts/engine-version.ts';
import { verifyFile } from '../artifacts/verify-file.ts';
import { InvocationError } from '../outcome/invocation-error.ts';
import { BUCKET_OPTION, functionName, withBucket } from './bucket-option.ts';
import { keysFolder } from './built-artifact.ts';
import { wordsOf, type Command, type CommandAnswer, type CommandInput } from './command.ts';
import { readFunction, readLocation, withArtifact } from './fetched-artifact.ts';

/** `playa verify FILE|URL`: would this server load it? */
export const VERIFY: Command = {
  name: 'verify',
  summary:
    'Says whether an artifact would be loaded: signature, trust, revocation, engine, and every byte of its code.',
  usage: ['FILE|URL', 'NAME --bucket BUCKET'],
  options: [
    { name: 'keys', value: 'FOLDER', help: 'the key store (default: $PLAYA_KEYS, else ~/.config/playa/keys)' },
    { name: 'any-engine', help: 'also where it is for another engine or processor than those of this machine' },
    { ...BUCKET_OPTION, help: 'takes NAME from a bucket: a folder, s3://…, r2://… or gs://…' },
  ],
  run: async (input) => {
    const [what] = wordsOf(input, ['FILE, URL or NAME']);
    if (input.text('bucket') === undefined) {
      return withArtifact(await readLocation(what), (path) => verify(input, what, path));
    }
    return withBucket(input, async (store) =>
      withArtifact(await readFunction(store, functionName(what)), (path) => verify(input, what, path)),
    );
  },
};

async function verify(input: CommandInput, what: string, path: string): Promise<CommandAnswer> {
  const trust = await loadTrust(keysFolder(input));
  const manifest: ArtifactManifest = (await readTrailer(path)).manifest;
  let refusal: string | undefined;
  try {
    await verifyFile(path, async (trailer) => verifyTrailer(trailer, trust, Date.now()));
    if (!input.isSet('any-engine')) checkEngine(manifest, describeHostEngine(WASMTIME_VERSION));
  } catch (error) {
    if (!(error instanceof ArtifactError) && !(error instanceof InvocationError)) throw error;
    refusal = error.message;
  }
  const signedBy = trust.keys.get(manifest.key)?.name;
  const { engine, source, elf } = manifest;
  const lines = [
    `${what}: ${refusal ?? 'would be loaded'}`,
    `  signed by  ${manifest.key}${signedBy === undefined ? '' : ` "${signedBy}"`}`,
    `  engine     Wasmtime ${engine.wasmtime}, ${engine.target}, ${engine.cpu}`,
    `  code       ${elf.sha256} (${elf.bytes} bytes)`,
    `  source     ${source.sha256} (${source.kind})`,
    `  built      ${manifest.builtAt} by ${manifest.builder}`,
  ];
  const json = { refusal: refusal ?? null, signedBy: signedBy ?? null, manifest };
  return { text: `${lines.join('\n')}\n`, json, ...(refusal === undefined ? {} : { exit: 'refused' as const }) };
}
