import { resolve } from 'node:path';
import { isBucketUrl } from '@playa/common/object-stores/bucket-url';
import { defaultObjectStoreDeps, openObjectStore } from '@playa/common/object-stores/open-object-store';
import type { ObjectStore } from '@playa/common/object-store';
import { InvocationError } from '../outcome/invocation-error.ts';
import { checkName } from '../lifecycle/resolve-route.ts';
import { CommandError, type CommandInput, type CommandOption } from './command.ts';

/** `--bucket` of every command that needs one. */
export const BUCKET_OPTION: CommandOption = {
  name: 'bucket',
  value: 'BUCKET',
  help: 'a folder, s3://…, r2://… or gs://… (default: $PLAYA_BUCKET, else ./bucket)',
};

/** Opens the bucket of `--bucket`, uses it and closes it. */
export async function withBucket<T>(input: CommandInput, use: (store: ObjectStore) => Promise<T>): Promise<T> {
  const given = input.text('bucket') ?? (input.terminal.env['PLAYA_BUCKET'] || 'bucket');
  const location = isBucketUrl(given) || given.startsWith('file:') ? given : resolve(given);
  const store = await openObjectStore(location, { ...defaultObjectStoreDeps(), env: input.terminal.env });
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

/** A name as it stands in a URL. */
export function encodeName(name: string): string {
  return name.split('/').map(encodeURIComponent).join('/');
}

/** The name of a function, with or without `.cwasm`. @throws {CommandError} `usage` */
export function functionName(word: string): string {
  try {
    return checkName(encodeName(word.endsWith('.cwasm') ? word.slice(0, -'.cwasm'.length) : word));
  } catch (error) {
    if (!(error instanceof InvocationError)) throw error;
    throw new CommandError('usage', `${word}: ${error.message}`, { cause: error });
  }
}
