/** Builds the guests in Rust into prebuilt/: `toolchain/node/run test/guests/build.ts`. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileRustGuests, readRustVersion } from './compile-rust-guests.ts';
import { digestFile, digestSources, PREBUILT, RUST_GUESTS, shown, type GuestRecord } from './rust-guests.ts';

const files: Record<string, string> = {};
const built = compileRustGuests();
mkdirSync(PREBUILT, { recursive: true });
for (const guest of RUST_GUESTS) {
  const target = join(PREBUILT, guest.file);
  copyFileSync(built.get(guest.file)!, target);
  files[guest.file] = digestFile(target);
  console.log(shown(target));
}
const record: GuestRecord = { rustc: readRustVersion(), sources: digestSources(), files };
writeFileSync(join(PREBUILT, 'guests.json'), `${JSON.stringify(record, undefined, 2)}\n`);
