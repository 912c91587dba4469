import { createHash } from 'node:crypto';
import { createWriteStream, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';

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

/**
 * Opens a ledger: a file of JSON lines, each with a number, a time, the hash of the line before and its own, so that none can be
 * changed or taken out unseen. A new file for each start; its first line goes on from the last file in the folder.
 * @param path the file; its folder is made
 */
export function openLedger(path: string, nowMs: () => number, onError: (error: Error) => void): Ledger {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  let previous = lastHash(dirname(path));
  let sequence = 0;
  const file = createWriteStream(path, { flags: 'a', mode: 0o600 });
  let broken = false;
  file.on('error', (error) => {
    if (!broken) onError(error);
    broken = true;
  });
  return {
    append: (entry) => {
      const content = { sequence: ++sequence, time: new Date(nowMs()).toISOString(), ...entry, previous };
      previous = hashOf(JSON.stringify(content));
      file.write(`${JSON.stringify({ ...content, hash: previous })}\n`);
    },
    close: () => new Promise((resolve) => (broken ? resolve() : file.end(() => resolve()))),
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

function lastHash(folder: string): string {
  const files = readdirSync(folder).filter((name) => name.endsWith('.jsonl'));
  const last = files.toSorted().at(-1);
  if (last === undefined) return GENESIS;
  const line = readFileSync(`${folder}/${last}`, 'utf8').trimEnd().split('\n').at(-1)!;
  try {
    return (JSON.parse(line) as { hash: string }).hash;
  } catch {
    // The last write of a server that was killed may be cut; the chain begins anew, which a check of the files shows.
    return GENESIS;
  }
}
