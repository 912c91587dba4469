import { ArtifactError } from './artifact-error.ts';

/** What was changed in a bucket lately: one small object that servers can look at in place of every function. */
export type ChangeJournal = {
  readonly format: 1;
  /** Grows by one with each change. */
  readonly serial: number;
  /** Names of the last changes, newest first, at most {@link MAX_CHANGES}: the first is that of `serial`, the next of the one before. */
  readonly names: readonly string[];
};

/** Where it lies. No function has such a name. */
export const JOURNAL_KEY = '.playa/changes.json';

/** The longest journal in bytes. */
export const MAX_JOURNAL_BYTES = 256 * 1024;

/** So many changes can be made up for by name; after more of them everything is looked up again. */
export const MAX_CHANGES = 200;

/** The journal with one change more. */
export function withChange(journal: ChangeJournal | undefined, name: string): ChangeJournal {
  const { serial = 0, names = [] } = journal ?? {};
  return { format: 1, serial: serial + 1, names: [name, ...names].slice(0, MAX_CHANGES) };
}

/**
 * What has changed since a journal was read.
 * @returns names, or 'all' where that cannot be told
 */
export function changesSince(journal: ChangeJournal, serial: number): readonly string[] | 'all' {
  const count = journal.serial - serial;
  return count < 0 || count > journal.names.length ? 'all' : [...new Set(journal.names.slice(0, count))];
}

/** The bytes of a journal. */
export function encodeJournal(journal: ChangeJournal): Buffer {
  return Buffer.from(`${JSON.stringify({ playa: 'changes', ...journal })}\n`);
}

/** @throws ArtifactError `format` when it is none */
export function parseJournal(bytes: Uint8Array): ChangeJournal {
  try {
    const value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Record<string, unknown>;
    const { playa, format, serial, names } = value;
    const isList =
      Array.isArray(names) && names.length <= MAX_CHANGES && names.every((name) => typeof name === 'string');
    if (playa === 'changes' && format === 1 && Number.isSafeInteger(serial) && isList) {
      return { format: 1, serial: serial as number, names: names as string[] };
    }
  } catch (cause) {
    throw malformed(cause);
  }
  throw malformed();
}

function malformed(cause?: unknown): ArtifactError {
  return new ArtifactError('format', `${JOURNAL_KEY} in the bucket is no journal of format 1; remove it`, { cause });
}
