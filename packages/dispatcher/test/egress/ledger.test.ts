import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findBrokenLine, openLedger, type LedgerEntry } from '../../src/egress/ledger.ts';
import { makeTemporaryFolder } from '../../../../test/harness/temporary-folder.ts';

const entry = (host: string): LedgerEntry => ({
  kind: 'connection',
  function: 'f',
  requestId: 'r',
  host,
  port: 443,
  addresses: [],
  verdict: 'refused',
  sentBytes: 0,
  receivedBytes: 0,
  durationMs: 1,
});

test('each line holds the hash of the one before, over several starts; what is changed or missing is found', async () => {
  const folder = makeTemporaryFolder('ledger');
  const fail = (error: Error): never => {
    throw error;
  };
  for (const name of ['1.jsonl', '2.jsonl']) {
    const ledger = openLedger(join(folder.path, 'egress', name), () => 0, fail);
    for (const host of ['a', 'b', 'c']) ledger.append(entry(host));
    await ledger.close();
  }
  const [first, second] = readdirSync(join(folder.path, 'egress')).map((name) =>
    readFileSync(join(folder.path, 'egress', name), 'utf8'),
  );
  const last = (JSON.parse(first!.trimEnd().split('\n').at(-1)!) as { hash: string }).hash;
  expect(findBrokenLine(first!)).toBeUndefined();
  expect(findBrokenLine(second!, last)).toBeUndefined();
  expect(findBrokenLine(second!, '0'.repeat(64))).toBe(1);
  expect(findBrokenLine(first!.replace('"host":"b"', '"host":"x"'))).toBe(2);
  const lines = first!.split('\n');
  expect(findBrokenLine([lines[0], lines[2]].join('\n'))).toBe(2);
  folder.remove();
});
