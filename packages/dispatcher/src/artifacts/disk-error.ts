/** The local disk does not take or give what the disk tier needs; functions that are on it already go on. */
export class DiskError extends Error {
  override readonly name = 'DiskError';
}

/** Errors of the local file system as a DiskError that says what was tried, everything else as it is. */
export function asDiskError(error: unknown, what: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (!(error instanceof Error) || error instanceof DiskError || code === undefined || !/^E[A-Z0-9]+$/.test(code)) {
    return error;
  }
  return new DiskError(`${what}: ${error.message}`, { cause: error });
}
