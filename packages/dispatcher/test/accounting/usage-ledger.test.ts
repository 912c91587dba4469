import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { usageCsv } from '../../src/accounting/usage-csv.ts';
import { openUsageDatabase } from '../../src/accounting/usage-database.ts';
import { createUsageLedger, type UsageLedger } from '../../src/accounting/usage-ledger.ts';
import type { Invocation } from '../../src/lifecycle/invocation.ts';

let folder: string;
let nowMs: number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'playa-usage-'));
  nowMs = Date.parse('2026-03-31T23:59:59Z');
});
afterEach(() => rmSync(folder, { recursive: true }));

const open = (file = join(folder, 'usage.sqlite')): UsageLedger =>
  createUsageLedger({
    database: openUsageDatabase(file),
    nowMs: () => nowMs,
    monotonicMs: () => 10,
    log: pino({ level: 'silent' }),
  });

const call = (functionName: string, more: object = {}): Invocation =>
  ({
    functionName,
    outcome: 'ok',
    startedMs: 8,
    requestBytes: 3,
    responseBytes: 5,
    egressBytes: 7,
    artifact: { policy: { limits: { fuel: 1000, memoryBytes: 65_536 } } },
    done: { fuel: 100, guestCpuUs: 20, peakMemoryBytes: 4096 },
    endedWorker: { cpuUs: 50 },
    ...more,
  }) as unknown as Invocation;

test('totals survive a restart and go on growing', async () => {
  for (let start = 0; start < 2; start++) {
    const ledger = open();
    ledger.record(call('f'));
    ledger.record(call('f', { done: { fuel: 50, guestCpuUs: 10, peakMemoryBytes: 8192 } }));
    await ledger.close();
  }
  const ledger = open();
  expect(await ledger.read({})).toEqual([
    {
      day: '2026-03-31',
      functionName: 'f',
      outcome: 'ok',
      calls: 4,
      fuel: 300,
      cpuUs: 60,
      processCpuUs: 200,
      wallUs: 8000,
      requestBytes: 12,
      responseBytes: 20,
      egressBytes: 28,
      peakMemoryBytes: 8192,
    },
  ]);
  await ledger.close();
});

test('days, functions and outcomes are apart, and can be asked for', async () => {
  const ledger = open();
  ledger.record(call('f'));
  ledger.record(call('g', { outcome: 'trap' }));
  nowMs += 2000;
  ledger.record(call('f'));
  expect((await ledger.read({ functionName: 'f' })).map(({ day }) => day)).toEqual(['2026-03-31', '2026-04-01']);
  expect(await ledger.read({ functionName: 'g' })).toMatchObject([{ outcome: 'trap', calls: 1 }]);
  expect(await ledger.read({ fromDay: '2026-04-01', toDay: '2026-04-01' })).toMatchObject([{ functionName: 'f' }]);
  await ledger.close();
});

test('what a worker says of itself counts within its limits, and within what the kernel saw', async () => {
  const ledger = open();
  ledger.record(call('f', { done: { fuel: 1e15, guestCpuUs: 1e12, peakMemoryBytes: 1e15 } }));
  expect(await ledger.read({})).toMatchObject([{ fuel: 1000, cpuUs: 50, peakMemoryBytes: 65_536 }]);
  await ledger.close();
});

test('names that are no function are not kept', async () => {
  const ledger = open();
  for (let index = 0; index < 100; index++) {
    ledger.record(call(`no-${index}`, { outcome: 'function_not_found', artifact: undefined, done: undefined }));
  }
  expect(await ledger.read({})).toMatchObject([{ functionName: '', outcome: 'function_not_found', calls: 100 }]);
  await ledger.close();
});

test('a file that is no database is an error of the reader and loses nothing else', async () => {
  const file = join(folder, 'broken');
  writeFileSync(file, 'this is no database at all, but it is long enough to be looked at as one. '.repeat(20));
  const ledger = open(file);
  ledger.record(call('f'));
  await expect(ledger.read({})).rejects.toThrow(/not a database/);
  await ledger.close();
});

test('two servers may share a database', async () => {
  const [one, other] = [open(), open()];
  for (let round = 0; round < 20; round++) {
    one.record(call('f'));
    other.record(call('f'));
    await Promise.all([one.read({}), other.read({})]);
  }
  expect(await one.read({})).toMatchObject([{ calls: 40 }]);
  await Promise.all([one.close(), other.close()]);
});

test('CSV quotes what needs it and disarms formulas', async () => {
  const ledger = open();
  ledger.record(call('=1+1'));
  ledger.record(call('a,"b"'));
  const lines = usageCsv(await ledger.read({})).split('\r\n');
  expect(lines[0]).toMatch(/^day,functionName,outcome,calls,fuel,/);
  expect(lines[1]).toMatch(/^2026-03-31,'=1\+1,ok,1,100,/);
  expect(lines[2]).toMatch(/^2026-03-31,"a,""b""",ok,1,/);
  await ledger.close();
});
