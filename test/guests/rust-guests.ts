import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the guests' sources. */
export const GUESTS = fileURLToPath(new URL('.', import.meta.url));

/** The folder of the built guests, which is part of the repository. */
export const PREBUILT = join(GUESTS, 'prebuilt');

/** What `prebuilt/guests.json` says about the built guests. */
export type GuestRecord = {
  /** The version line of the compiler that built them. */
  rustc: string;
  /** `digestSources()` of the sources they were built from. */
  sources: string;
  /** File name → SHA-256. */
  files: Record<string, string>;
};

/** A guest in Rust: its package, the target it is built for, the file cargo writes and the name it gets in `prebuilt/`. */
export type RustGuest = { package: string; target: string; built: string; file: string };

/** All guests in Rust. */
export const RUST_GUESTS: readonly RustGuest[] = [
  { package: 'probe', target: 'wasm32-wasip2', built: 'probe.wasm', file: 'probe.wasm' },
  { package: 'probe-0-3', target: 'wasm32-wasip2', built: 'probe_0_3.wasm', file: 'probe-0-3.wasm' },
  { package: 'egress', target: 'wasm32-wasip2', built: 'egress.wasm', file: 'egress.wasm' },
  { package: 'command', target: 'wasm32-wasip2', built: 'command.wasm', file: 'command-component.wasm' },
  { package: 'command', target: 'wasm32-wasip1', built: 'command.wasm', file: 'command-module.wasm' },
];

/** SHA-256 over the names and contents of all sources that the guests in Rust are built from. */
export function digestSources(): string {
  const names = readdirSync(GUESTS, { recursive: true, encoding: 'utf8' });
  const sources = names.filter((name) => /(\.rs|^Cargo\.lock|Cargo\.toml)$/.test(name)).toSorted();
  const hash = createHash('sha256');
  for (const name of sources)
    hash
      .update(`${name}\n`)
      .update(readFileSync(join(GUESTS, name)))
      .update('\0');
  return hash.digest('hex');
}

/** SHA-256 of a file, in hexadecimal digits. */
export function digestFile(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

/** Flags that keep the paths of the building machine out of panic messages; the crates must have been fetched. */
export function remapFlags(env: NodeJS.ProcessEnv): string {
  const cargoHome = env['CARGO_HOME'] ?? join(homedir(), '.cargo');
  const registries = join(cargoHome, 'registry/src');
  const folders = readdirSync(registries).map((name) => `${join(registries, name)}=crates`);
  // The last mapping that fits wins.
  const mappings = [`${cargoHome}=cargo`, ...folders, `${GUESTS}=guests/`];
  return mappings.map((mapping) => `--remap-path-prefix=${mapping}`).join(' ');
}

/** Where cargo puts a built guest below its target folder. */
export function builtFile(guest: RustGuest, targetFolder: string): string {
  return join(targetFolder, guest.target, 'release', guest.built);
}

/** A path as messages show it. */
export function shown(file: string): string {
  return relative(process.cwd(), file) || file;
}
