import { ObjectStoreError } from '../object-store-error.ts';

/** A source of credentials is set up but does not give any: `unavailable` where a later call may work. No message quotes what it answered. */
export function credentialError(
  source: string,
  problem: string,
  options: ErrorOptions & { temporary?: boolean } = {},
): ObjectStoreError {
  const { temporary = false, ...rest } = options;
  return new ObjectStoreError(
    temporary ? 'unavailable' : 'access_denied',
    `no credentials from ${source}: ${problem}`,
    rest,
  );
}
