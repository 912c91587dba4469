import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findBrokenLine, ledgerFiles, openLedger, type LedgerEntry } from '../../src/egress/ledger.ts';
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

const fail = (error: Error): never => {
  throw error;
};

test('each line holds the hash of the one before, over several starts; what is changed or missing is found', async () => {
  const temporary = makeTemporaryFolder('ledger');
  const folder = join(temporary.path, 'egress');
  for (const nowMs of [1, 2]) {
    const ledger = openLedger({ folder, maxBytes: 1_000_000, nowMs: () => nowMs, onError: fail });
    for (const host of ['a', 'b', 'c']) ledger.append(entry(host));
    await ledger.close();
  }
  const [first, second] = ledgerFiles(folder).map((path) => readFileSync(path, 'utf8'));
  const last = (JSON.parse(first!.trimEnd().split('\n').at(-1)!) as { hash: string }).hash;
  expect(findBrokenLine(first!)).toBeUndefined();
  expect(findBrokenLine(second!, last)).toBeUndefined();
  expect(findBrokenLine(second!, '0'.repeat(64))).toBe(1);
  expect(findBrokenLine(first!.replace('"host":"b"', '"host":"x"'))).toBe(2);
  const lines = first!.split('\n');
  expect(findBrokenLine([lines[0], lines[2]].join('\n'))).toBe(2);
  temporary.remove();
});

test('it takes no more room than it may, and its chain goes on from file to file', async () => {
  const temporary = makeTemporaryFolder('ledger');
  const folder = join(temporary.path, 'egress');
  const ledger = openLedger({ folder, maxBytes: 8_000, nowMs: () => 1, onError: fail });
  for (let index = 0; index < 100; index++) ledger.append(entry(`host-${index}`));
  await ledger.close();
  const texts = ledgerFiles(folder).map((path) => readFileSync(path, 'utf8'));
  expect(texts.length).toBeLessThanOrEqual(8);
  expect(texts.join('').length).toBeLessThanOrEqual(8_000);
  expect(findBrokenLine(texts.join(''))).toBeUndefined();
  expect(texts.at(-1)).toContain('host-99');
  temporary.remove();
});
