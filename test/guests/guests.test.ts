import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compileRustGuests, hasRustTarget, readRustVersion } from './compile-rust-guests.ts';
import { digestFile, digestSources, PREBUILT, RUST_GUESTS, type GuestRecord } from './rust-guests.ts';

const record = JSON.parse(readFileSync(join(PREBUILT, 'guests.json'), 'utf8')) as GuestRecord;
const canBuild = ['wasm32-wasip1', 'wasm32-wasip2'].every(hasRustTarget);
/** Fetches and builds some twenty crates. */
const BUILD_MS = 600_000;

test('the built guests are those of the present sources', () => {
  // Otherwise: toolchain/node/run test/guests/build.ts
  expect(record.sources).toBe(digestSources());
  const digests = Object.fromEntries(RUST_GUESTS.map(({ file }) => [file, digestFile(join(PREBUILT, file))]));
  expect(digests).toEqual(record.files);
});

test('the built guests name no folder of the machine they were built on', () => {
  for (const { file } of RUST_GUESTS) {
    const text = readFileSync(join(PREBUILT, file), 'latin1');
    expect(text).not.toMatch(/\/(home|root|Users|work|tmp)\/|index\.crates/);
  }
});

test.runIf(canBuild)(
  'the guests build, and to the same bytes where the compiler is the same',
  () => {
    const built = compileRustGuests();
    const digests = Object.fromEntries([...built].map(([name, file]) => [name, digestFile(file)]));
    const same = readRustVersion() === record.rustc;
    expect(same ? digests : Object.keys(digests)).toEqual(same ? record.files : Object.keys(record.files));
  },
  BUILD_MS,
);
