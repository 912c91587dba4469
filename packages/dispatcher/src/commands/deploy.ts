import { readFile, stat } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { promisify } from 'node:util';
import { zstdCompress } from 'node:zlib';
import { digestFile } from '@playa/common/digest-file';
import { isBucketUrl } from '@playa/common/object-stores/bucket-url';
import type { ObjectSource, ObjectStore } from '@playa/common/object-store';
import { MAX_POLICY_BYTES, parsePolicyFile } from '../policy/parse-policy.ts';
import { BUCKET_OPTION, encodeName, functionName, withBucket } from './bucket-option.ts';
import { BUILD_OPTIONS, withBuilt, type BuiltArtifact } from './built-artifact.ts';
import { CommandError, wordsOf, type Command, type CommandAnswer, type CommandInput } from './command.ts';
import { openFunctionBucket, presentVersion } from './function-bucket.ts';
import { keepSource } from './kept-source.ts';
import { versionOf, waitForVersion } from './wait-for-version.ts';

const DEFAULT_TIMEOUT_S = 60;

/** `playa deploy SOURCE`: builds, signs, uploads, waits. */
export const DEPLOY: Command = {
  name: 'deploy',
  summary:
    'Builds a function, signs it and uploads it. Earlier versions are kept: playa rollback NAME goes back to one.',
  usage: ['SOURCE [--name NAME] [--bucket BUCKET] [--url URL]'],
  options: [
    { name: 'name', value: 'NAME', help: 'of the function, such as acme/resize (default: the name of SOURCE)' },
    BUCKET_OPTION,
    { name: 'policy', value: 'FILE', help: 'its policy, uploaded as NAME.toml before it' },
    { name: 'url', value: 'URL', help: 'of a server of the bucket: waits until the function answers there' },
    { name: 'timeout', value: 'SECONDS', help: `how long it waits (default: ${DEFAULT_TIMEOUT_S})` },
    { name: 'no-compress', help: 'uploads it as it is; otherwise remote buckets get it compressed by zstd' },
    { name: 'keep-source', help: 'uploads the component too, for playa rebuild' },
    ...BUILD_OPTIONS,
  ],
  run: async (input) => {
    const [source] = wordsOf(input, ['SOURCE']);
    const name = functionName(input.text('name') ?? basename(source, extname(source)));
    const timeoutS = Number(input.text('timeout') ?? DEFAULT_TIMEOUT_S);
    if (!(timeoutS > 0)) throw new CommandError('usage', `--timeout ${input.text('timeout')} is no number of seconds`);
    const policy = await readPolicy(input.text('policy'));
    return withBuilt(input, source, (built) =>
      withBucket(input, async (store) => {
        if (policy !== undefined) await store.put(`${name}.toml`, policy);
        const deployed = await upload(input, store, name, built);
        return report(input, name, built, deployed, timeoutS);
      }),
    );
  },
};

type Deployed = { sha256: string; before: string | undefined; unchanged: boolean };

/** Puts an artifact into the bucket and makes it the present version. */
export async function upload(
  input: CommandInput,
  store: ObjectStore,
  name: string,
  built: BuiltArtifact,
): Promise<Deployed> {
  const functions = openFunctionBucket(store);
  const { sha256 } = await digestFile(built.path);
  const artifact = await compressed(input, built.path);
  await functions.keep(sha256, artifact);
  if (input.isSet('keep-source')) await keepSource(store, built);
  const deployedAt = new Date().toISOString();
  const { before } = await functions.change(name, async (present) =>
    present?.present.sha256 === sha256 ? undefined : presentVersion(present, { sha256, deployedAt }),
  );
  await functions.settle(sha256, artifact);
  return { sha256, before: before?.present.sha256, unchanged: before?.present.sha256 === sha256 };
}

async function report(
  input: CommandInput,
  name: string,
  { manifest }: BuiltArtifact,
  { sha256, before, unchanged }: Deployed,
  timeoutS: number,
): Promise<CommandAnswer> {
  const base = input.text('url')?.replace(/\/+$/, '');
  const url = base === undefined ? undefined : `${base}/invoke/${encodeName(name)}.cwasm`;
  const json = { name, version: sha256, before: before ?? null, unchanged, url: url ?? null };
  const what = `${name} ${unchanged ? 'is there already' : 'is deployed'} as version ${sha256.slice(0, 12)}`;
  if (url === undefined) return { text: `${what}\n`, json };
  const failure = await waitForVersion(url, versionOf(manifest), timeoutS * 1000);
  if (failure === undefined) return { text: `${what}\n${url}\n`, json };
  const text = `${what}, but ${url} did not answer with it within ${timeoutS} s: ${failure}\n`;
  return { text, json: { ...json, error: { code: 'unanswered', message: failure } }, exit: 'unanswered' };
}

/** A folder's files are on the same disk as the cache: compressing them would save little. */
async function compressed(input: CommandInput, path: string): Promise<ObjectSource> {
  const bucket = input.text('bucket') ?? input.terminal.env['PLAYA_BUCKET'] ?? '';
  if (input.isSet('no-compress') || !isBucketUrl(bucket)) return { path };
  return promisify(zstdCompress)(await readFile(path));
}

async function readPolicy(path: string | undefined): Promise<Buffer | undefined> {
  if (path === undefined) return undefined;
  if ((await stat(path)).size > MAX_POLICY_BYTES) {
    throw new CommandError('failed', `${path} is longer than ${MAX_POLICY_BYTES} bytes`);
  }
  const text = await readFile(path);
  try {
    parsePolicyFile(text.toString('utf8'));
  } catch (error) {
    throw new CommandError('failed', `${path}: ${(error as Error).message}`, { cause: error });
  }
  return text;
}
