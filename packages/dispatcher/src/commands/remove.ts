import { BUCKET_OPTION, functionName, withBucket } from './bucket-option.ts';
import { wordsOf, type Command } from './command.ts';
import { openFunctionBucket } from './function-bucket.ts';

/** `playa remove NAME`: ends a function; its versions stay. */
export const REMOVE: Command = {
  name: 'remove',
  summary: 'Removes a function from a bucket. Its versions are kept: playa rollback NAME brings it back.',
  usage: ['NAME [--bucket BUCKET]'],
  options: [BUCKET_OPTION],
  run: (input) =>
    withBucket(input, async (store) => {
      const name = functionName(wordsOf(input, ['NAME'])[0]);
      await openFunctionBucket(store).remove(name);
      return { text: `${name} is removed; playa rollback ${name} brings it back\n`, json: { name } };
    }),
};
