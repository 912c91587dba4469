import { createHash } from 'node:crypto';
import {
  closeSync,
  createWriteStream,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  type WriteStream,
} from 'node:fs';
import { join } from 'node:path';

/** What is kept of one connection or look-up, whatever became of it. */
export type LedgerEntry = {
  kind: 'connection' | 'lookup';
  function: string;
  requestId: string;
  /** What the function asked for, as it wrote it. */
  host: string;
  port?: number;
  /** All addresses that the name had. */
  addresses: string[];
  /** The one that was connected to. */
  address?: string;
  rule?: string;
  verdict: 'allowed' | 'refused' | 'failed';
  reason?: string;
  sentBytes: number;
  receivedBytes: number;
  durationMs: number;
};

/** Where entries go. */
export type Ledger = { append: (entry: LedgerEntry) => void; close: () => Promise<void> };

const GENESIS = '0'.repeat(64);
/** A disk that does not keep up costs lines, not memory; the next one says how many. */
const MAX_WAITING_BYTES = 8 * 1024 * 1024;
/** Lines are a few hundred bytes. */
const TAIL_BYTES = 64 * 1024;
/** The folder holds so many files of one size. */
const FILES = 8;

/**
 * Opens a ledger: files of JSON lines, each with a number, a time, the hash of the line before and its own, so that none can be
 * changed or taken out unseen. A new file begins with each start and whenever one is full; its first line goes on from the last of the one before.
 * @param deps.folder where the files are; it is made
 * @param deps.maxBytes of all files together: the oldest ones are removed, so that nobody can fill the disk with what he is refused
 */
export function openLedger(deps: {
  folder: string;
  maxBytes: number;
  nowMs: () => number;
  onError: (error: Error) => void;
}): Ledger {
  const { folder } = deps;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const fileBytes = Math.ceil(deps.maxBytes / FILES);
  let previous = lastHash(folder);
  let sequence = 0;
  let dropped = 0;
  let broken = false;
  let files = 0;
  let writtenBytes = 0;
  const closing: Promise<void>[] = [];

  const open = (): WriteStream => {
    const time = new Date(deps.nowMs()).toISOString().replaceAll(':', '');
    writtenBytes = 0;
    const path = join(folder, `${time}-${process.pid}-${String(files++).padStart(6, '0')}.jsonl`);
    // Opened at once, so that it is there when the files are counted.
    const made = createWriteStream(path, { fd: openSync(path, 'a', 0o600) });
    made.on('error', (error) => {
      if (!broken) deps.onError(error);
      broken = true;
    });
    return made;
  };
  const end = (ended: WriteStream): Promise<void> =>
    new Promise((resolve) => (broken ? resolve() : ended.end(() => resolve())));
  let file = open();

  return {
    append: (entry) => {
      if (file.writableLength > MAX_WAITING_BYTES) return void dropped++;
      const time = new Date(deps.nowMs()).toISOString();
      const lost = dropped === 0 ? {} : { dropped };
      const content = { sequence: ++sequence, time, ...entry, ...lost, previous };
      dropped = 0;
      previous = hashOf(JSON.stringify(content));
      const line = `${JSON.stringify({ ...content, hash: previous })}\n`;
      if (writtenBytes + line.length > fileBytes && writtenBytes > 0) {
        closing.push(end(file));
        file = open();
        removeOldest(folder, FILES);
      }
      writtenBytes += line.length;
      file.write(line);
    },
    close: async () => {
      await Promise.all([...closing, end(file)]);
    },
  };
}

/**
 * Checks the lines of a ledger file.
 * @param before the last hash of the file before, where that is known
 * @returns the number of the first line that is wrong, counted from 1, or `undefined`
 */
export function findBrokenLine(text: string, before?: string): number | undefined {
  let previous = before;
  for (const [at, line] of text.split('\n').entries()) {
    if (line === '') continue;
    let content: Record<string, unknown>;
    try {
      content = JSON.parse(line) as Record<string, unknown>;
    } catch {
      return at + 1;
    }
    const { hash, ...rest } = content;
    if (hash !== hashOf(JSON.stringify(rest)) || (previous !== undefined && rest['previous'] !== previous))
      return at + 1;
    previous = hash as string;
  }
  return undefined;
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The files of a ledger, the oldest first. */
export function ledgerFiles(folder: string): string[] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.jsonl'));
  return names.toSorted().map((name) => join(folder, name));
}

function removeOldest(folder: string, keep: number): void {
  for (const path of ledgerFiles(folder).slice(0, -keep)) rmSync(path, { force: true });
}

function lastHash(folder: string): string {
  for (const path of ledgerFiles(folder).toReversed()) {
    const line = readTail(path).trimEnd().split('\n').at(-1)!;
    try {
      return (JSON.parse(line) as { hash: string }).hash;
    } catch {
      // Nothing was written, or the last write of a server that was killed is cut: then the line before it, which a check shows.
    }
  }
  return GENESIS;
}

function readTail(path: string): string {
  const file = openSync(path, 'r');
  try {
    const start = Math.max(0, fstatSync(file).size - TAIL_BYTES);
    const bytes = Buffer.alloc(TAIL_BYTES);
    return bytes.toString('utf8', 0, readSync(file, bytes, 0, TAIL_BYTES, start));
  } finally {
    closeSync(file);
  }
}
