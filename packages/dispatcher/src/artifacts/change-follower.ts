import type { Logger } from 'pino';
import { changesSince, JOURNAL_KEY, MAX_JOURNAL_BYTES, parseJournal } from '@playa/common/change-journal';
import type { ObjectStore } from '@playa/common/object-store';
import { readBody } from './read-object.ts';

/** Follows the bucket's journal of changes. */
export type ChangeFollower = {
  /** Whether a change after that time, by the clock that it was given, has been seen or will be by the next look. */
  covers: (sinceMs: number) => boolean;
  close: () => void;
};

/**
 * Looks at the journal now and then, and names what has changed. Where there is no journal, or it cannot be read, nothing is covered, and
 * functions are asked for one by one as without it.
 */
export function followChanges(deps: {
  bucket: ObjectStore;
  intervalMs: number;
  /** Without a name anything may have changed. */
  onChange: (name?: string) => void;
  nowMs: () => number;
  random: () => number;
  log: Logger;
}): ChangeFollower {
  let etag: string | undefined;
  let serial: number | undefined;
  /** When the first look began after which no change was missed. */
  let sinceMs = Infinity;
  let reachable = false;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  const look = async (): Promise<void> => {
    const startedMs = deps.nowMs();
    const object = await deps.bucket.get(JOURNAL_KEY, etag === undefined ? {} : { ifNoneMatch: etag });
    if (object === undefined) return forget();
    if (object !== 'not_modified') {
      const journal = parseJournal(await readBody(object.body, MAX_JOURNAL_BYTES));
      const changes = serial === undefined ? [] : changesSince(journal, serial);
      if (changes === 'all') deps.onChange();
      else for (const name of changes) deps.onChange(name);
      ({ etag } = object);
      ({ serial } = journal);
    }
    if (sinceMs === Infinity) sinceMs = startedMs;
    reachable = true;
  };

  const forget = (): void => {
    etag = undefined;
    serial = undefined;
    sinceMs = Infinity;
    reachable = false;
  };

  const run = async (): Promise<void> => {
    try {
      await look();
    } catch (error) {
      // Said once: the next look may be a second away.
      if (reachable)
        deps.log.warn({ err: error }, 'the journal of changes cannot be read; functions are asked for one by one');
      reachable = false;
    }
    if (closed) return;
    timer = setTimeout(() => void run(), deps.intervalMs * (0.9 + 0.2 * deps.random()));
    timer.unref();
  };
  void run();

  return {
    covers: (atMs) => reachable && atMs >= sinceMs,
    close: () => {
      closed = true;
      clearTimeout(timer);
    },
  };
}
