import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { builtFile, GUESTS, remapFlags, RUST_GUESTS } from './rust-guests.ts';

/** The version line of rustc. Throws where there is none. */
export function readRustVersion(): string {
  return execFileSync('rustc', ['--version'], { encoding: 'utf8' }).trim();
}

/** Whether rustc is there with the standard library of a target. */
export function hasRustTarget(target: string): boolean {
  try {
    const folder = execFileSync('rustc', ['--print', 'target-libdir', '--target', target], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    execFileSync('ls', [folder.trim()], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/**
 * Builds all guests in Rust with the locked dependencies.
 * @returns the name in `prebuilt/` → the file that cargo wrote; throws where cargo fails
 */
export function compileRustGuests(): Map<string, string> {
  const targetFolder = join(GUESTS, '../../target/guests');
  execFileSync('cargo', ['fetch', '--quiet', '--locked'], { cwd: GUESTS, stdio: ['ignore', 'inherit', 'inherit'] });
  const env = { ...process.env, CARGO_TARGET_DIR: targetFolder, RUSTFLAGS: remapFlags(process.env) };
  for (const target of new Set(RUST_GUESTS.map((guest) => guest.target))) {
    const packages = RUST_GUESTS.filter((guest) => guest.target === target).flatMap((guest) => ['-p', guest.package]);
    const args = ['build', '--quiet', '--release', '--locked', '--target', target, ...packages];
    execFileSync('cargo', args, { cwd: GUESTS, env, stdio: ['ignore', 'inherit', 'inherit'] });
  }
  return new Map(RUST_GUESTS.map((guest) => [guest.file, builtFile(guest, targetFolder)]));
}
