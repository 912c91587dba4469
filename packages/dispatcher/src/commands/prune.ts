import type { FunctionPointer } from '@playa/common/function-pointer';
import { BUCKET_OPTION, functionName, withBucket } from './bucket-option.ts';
import { CommandError, type Command, type CommandInput } from './command.ts';
import { openFunctionBucket, type FunctionBucket } from './function-bucket.ts';
import { removeUnreferenced } from './unreferenced-artifacts.ts';

/** `playa prune [NAME]`: earlier versions end, and what no function refers to any more goes. */
export const PRUNE: Command = {
  name: 'prune',
  summary:
    'Removes earlier versions of a function, or of all, from a bucket, and every artifact that no function refers to. What is present stays.',
  usage: ['NAME --keep N [--bucket BUCKET]', '--keep N [--forget-removed] [--bucket BUCKET]'],
  options: [
    { name: 'keep', value: 'N', help: 'so many earlier versions stay beside the present one; 0 keeps that alone' },
    { name: 'forget-removed', help: 'also forgets functions that were removed: they cannot be brought back' },
    { name: 'dry-run', help: 'says what would go, and changes nothing' },
    BUCKET_OPTION,
  ],
  run: (input) =>
    withBucket(input, async (store) => {
      const plan = readPlan(input);
      const functions = openFunctionBucket(store);
      const versions = await endVersions(functions, plan);
      const dropped = versions.map(({ sha256 }) => sha256);
      const { artifacts, bytes } = await removeUnreferenced(store, functions, dropped, plan.dryRun);
      const lines = versions.map(
        ({ name, sha256 }) => `${name} ${sha256.slice(0, 12)} ${plan.dryRun ? 'would end' : 'ends'}\n`,
      );
      const removed = plan.dryRun ? 'would be removed' : 'removed';
      const text = `${lines.join('')}${artifacts.length} artifacts of ${bytes} bytes ${removed}\n`;
      return { text, json: { dryRun: plan.dryRun, versions, artifacts, bytes } };
    }),
};

type Plan = { only: string | undefined; keep: number; forgetRemoved: boolean; dryRun: boolean };

/** A version that is not in the list of its function any more. */
type EndedVersion = { name: string; sha256: string };

function readPlan(input: CommandInput): Plan {
  const [word, more] = input.words;
  if (more !== undefined) throw new CommandError('usage', `${more} is too much`);
  const keep = input.text('keep');
  if (keep === undefined) throw new CommandError('usage', '--keep is missing: say how many earlier versions stay');
  if (!/^\d{1,6}$/.test(keep)) throw new CommandError('usage', `--keep ${keep} is no number of versions`);
  return {
    only: word === undefined ? undefined : functionName(word),
    keep: Number(keep),
    forgetRemoved: input.isSet('forget-removed'),
    dryRun: input.isSet('dry-run'),
  };
}

async function endVersions(functions: FunctionBucket, plan: Plan): Promise<EndedVersion[]> {
  const ended: EndedVersion[] = [];
  const add = (name: string, digests: readonly string[]): void =>
    void ended.push(...digests.map((sha256) => ({ name, sha256 })));
  if (plan.only !== undefined) {
    const present = await shorten(functions, plan.only, plan);
    const removed = await shortenRemoved(functions, plan.only, plan);
    if (present === undefined && removed === undefined) {
      throw new CommandError('not_found', `there is no function ${plan.only} in the bucket`);
    }
    add(plan.only, [...(present ?? []), ...(removed ?? [])]);
    return ended;
  }
  for await (const { name, kind } of functions.list()) {
    if (kind === 'artifact') add(name, (await shorten(functions, name, plan)) ?? []);
  }
  for await (const name of functions.listRemoved()) add(name, (await shortenRemoved(functions, name, plan)) ?? []);
  return ended;
}

/** @returns digests of the versions that ended; `undefined` where there is no function */
async function shorten(functions: FunctionBucket, name: string, { keep, dryRun }: Plan): Promise<string[] | undefined> {
  const found = await functions.read(name);
  // What was put there by hand has no versions, and becomes none by this.
  if (found?.pointer === undefined) return found && [];
  let ended = beyond(found.pointer, keep);
  if (dryRun || ended.length === 0) return ended;
  await functions.change(name, async (present) => {
    // Asked again where somebody else was faster: what is there then counts.
    ended = present === undefined ? [] : beyond(present, keep);
    return present === undefined || ended.length === 0 ? undefined : cut(present, keep);
  });
  return ended;
}

/** The same for a function that was removed. */
async function shortenRemoved(functions: FunctionBucket, name: string, plan: Plan): Promise<string[] | undefined> {
  const { keep, dryRun, forgetRemoved } = plan;
  const endedOf = (pointer: FunctionPointer): string[] => [
    ...(forgetRemoved ? [pointer.present.sha256] : []),
    ...beyond(pointer, forgetRemoved ? 0 : keep),
  ];
  const found = await functions.readRemoved(name);
  if (found === undefined) return undefined;
  let ended = endedOf(found);
  if (dryRun || ended.length === 0) return ended;
  await functions.changeRemoved(name, (pointer) => {
    ended = endedOf(pointer);
    return forgetRemoved ? 'forget' : ended.length === 0 ? undefined : cut(pointer, keep);
  });
  return ended;
}

function beyond({ previous }: FunctionPointer, keep: number): string[] {
  return previous.slice(keep).map(({ sha256 }) => sha256);
}

function cut(pointer: FunctionPointer, keep: number): FunctionPointer {
  return { ...pointer, previous: pointer.previous.slice(0, keep) };
}
