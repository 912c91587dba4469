import type { FunctionPointer } from '@playa/common/function-pointer';
import { forEachAtOnce } from './at-once.ts';
import { BUCKET_OPTION, functionName, withBucket } from './bucket-option.ts';
import { CommandError, wordsOf, type Command, type CommandAnswer } from './command.ts';
import { openFunctionBucket, type FunctionBucket } from './function-bucket.ts';

/** `playa list`: the functions of a bucket, or the versions of one. */
export const LIST: Command = {
  name: 'list',
  summary: 'Shows the functions of a bucket, or the versions of one of them.',
  usage: ['[--bucket BUCKET]', 'NAME [--bucket BUCKET]'],
  options: [BUCKET_OPTION],
  run: (input) =>
    withBucket(input, async (store) => {
      const functions = openFunctionBucket(store);
      if (input.words.length > 0) return listVersions(functions, functionName(wordsOf(input, ['NAME'])[0]));
      return listFunctions(functions);
    }),
};

/** Reads of pointers side by side. */
const READS_AT_ONCE = 8;

type ListedFunction = { name: string; kind: 'deployed' | 'artifact' | 'source'; version?: string; at?: string };

async function listFunctions(functions: FunctionBucket): Promise<CommandAnswer> {
  const listed: ListedFunction[] = [];
  await forEachAtOnce(functions.list(), READS_AT_ONCE, async ({ name, kind }) => {
    const entry: ListedFunction = { name, kind };
    listed.push(entry);
    if (kind !== 'source') await describe(functions, entry);
  });
  const width = Math.max(0, ...listed.map(({ name }) => name.length)) + 2;
  const lines = listed.map(({ name, kind, version, at }) => {
    return `${name.padEnd(width)}${version?.slice(0, 12) ?? kind}${at === undefined ? '' : `  ${at}`}`;
  });
  const text = lines.length === 0 ? 'no functions\n' : `${lines.join('\n')}\n`;
  return { text, json: { functions: listed } };
}

async function describe(functions: FunctionBucket, entry: ListedFunction): Promise<void> {
  const found = await functions.read(entry.name);
  if (found === undefined) return;
  entry.at = found.pointer?.present.deployedAt ?? new Date(found.modifiedAtMs).toISOString();
  if (found.pointer === undefined) return;
  entry.kind = 'deployed';
  entry.version = found.pointer.present.sha256;
}

async function listVersions(functions: FunctionBucket, name: string): Promise<CommandAnswer> {
  const found = await functions.read(name);
  const removed = found === undefined ? await functions.readRemoved(name) : undefined;
  const pointer: FunctionPointer | undefined = found?.pointer ?? removed;
  if (found === undefined && removed === undefined) {
    throw new CommandError('not_found', `there is no function ${name} in the bucket`);
  }
  if (pointer === undefined) {
    const text = `${name} was put there by hand; its versions are kept from the next playa deploy on\n`;
    return { text, json: { name, removed: false, versions: [] } };
  }
  const versions = [pointer.present, ...pointer.previous];
  const lines = versions.map(({ sha256, deployedAt }, index) => {
    const mark = index === 0 && removed === undefined ? '*' : ' ';
    return `${mark} ${sha256.slice(0, 12)}  ${deployedAt}`;
  });
  const head = removed === undefined ? name : `${name} (removed; playa rollback ${name} brings it back)`;
  return { text: `${head}\n${lines.join('\n')}\n`, json: { name, removed: removed !== undefined, versions } };
}
