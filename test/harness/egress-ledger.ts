import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LedgerEntry } from '../../packages/dispatcher/src/egress/ledger.ts';

/** All lines of the ledger in a state folder. What is under way is not there yet. */
export function readEgressLedger(stateFolder: string): (LedgerEntry & { hash: string; previous: string })[] {
  const folder = join(stateFolder, 'egress');
  return readdirSync(folder)
    .toSorted()
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').filter(Boolean))
    .map((line) => JSON.parse(line) as LedgerEntry & { hash: string; previous: string });
}
