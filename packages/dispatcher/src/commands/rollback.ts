import type { DeployedVersion, FunctionPointer } from '@playa/common/function-pointer';
import { BUCKET_OPTION, functionName, withBucket } from './bucket-option.ts';
import { CommandError, wordsOf, type Command } from './command.ts';
import { openFunctionBucket, presentVersion } from './function-bucket.ts';

const MIN_DIGITS = 6;

/** `playa rollback NAME`: an earlier version becomes the present one again. */
export const ROLLBACK: Command = {
  name: 'rollback',
  summary: 'Makes an earlier version of a function the present one, or brings a removed function back.',
  usage: ['NAME [--to VERSION] [--bucket BUCKET]'],
  options: [
    {
      name: 'to',
      value: 'VERSION',
      help: 'the first digits of a version, as playa list NAME shows them (default: the one before)',
    },
    BUCKET_OPTION,
  ],
  run: (input) =>
    withBucket(input, async (store) => {
      const name = functionName(wordsOf(input, ['NAME'])[0]);
      const to = input.text('to');
      const functions = openFunctionBucket(store);
      const removed = await functions.readRemoved(name);
      const { before, after } = await functions.change(name, async (present) => {
        const pointer = present ?? removed;
        if (pointer === undefined) throw new CommandError('not_found', `there is no function ${name} in the bucket`);
        // What was removed comes back as it was, unless another version is named.
        const target = present === undefined && to === undefined ? pointer.present : choose(name, pointer, to);
        if (!(await functions.has(target.sha256))) {
          throw new CommandError(
            'failed',
            `the bucket does not have version ${target.sha256} any more; deploy ${name} again`,
          );
        }
        return presentVersion(pointer, { ...target, deployedAt: new Date().toISOString() });
      });
      const { sha256 } = after!.present;
      // A function that was removed may be forgotten, and its artifacts with it, while it is brought back.
      if (before === undefined && !(await functions.settle(sha256))) {
        await functions.remove(name);
        throw new CommandError('not_found', `${name} was forgotten meanwhile by playa prune; deploy it again`);
      }
      const json = { name, version: sha256, before: before?.present.sha256 ?? null };
      return { text: `${name} is at ${sha256.slice(0, 12)} again\n`, json };
    }),
};

function choose(name: string, { present, previous }: FunctionPointer, to: string | undefined): DeployedVersion {
  if (to === undefined) {
    const before = previous[0];
    if (before === undefined) throw new CommandError('not_found', `${name} has no earlier version`);
    return before;
  }
  if (!new RegExp(`^[0-9a-f]{${MIN_DIGITS},64}$`).test(to)) {
    throw new CommandError('usage', `--to ${to}: a version is ${MIN_DIGITS} hex digits or more`);
  }
  const found = [present, ...previous].filter(({ sha256 }) => sha256.startsWith(to));
  if (found.length === 0) throw new CommandError('not_found', `${name} has no version ${to}; see: playa list ${name}`);
  if (found.length > 1) throw new CommandError('usage', `${to} begins several versions; give more digits`);
  return found[0]!;
}
