import { capture } from '../lib/capture.mjs';
import { SetupFailure } from '../lib/failure.mjs';
import { isOlder } from '../lib/version.mjs';

/** The oldest Rust that Wasmtime 48 is built with; Cargo.toml says the same as `rust-version`. */
export const OLDEST_RUST = '1.95.0';

/**
 * Makes sure that cargo and a new enough Rust are there.
 * @param {import('../lib/project.mjs').Project} project
 * @returns {Promise<void>} rejects with SetupFailure
 */
export async function checkRustToolchain(project) {
  const options = { env: project.env, cwd: project.root };
  const [cargo, rustc] = await Promise.all([
    capture('cargo', ['--version'], options),
    capture('rustc', ['--version'], options),
  ]);
  const problem = judgeRustToolchain(cargo, rustc);
  if (problem !== undefined) {
    throw problem;
  }
}

/**
 * @param {import('../lib/capture.mjs').Captured} cargo answer of `cargo --version`
 * @param {import('../lib/capture.mjs').Captured} rustc answer of `rustc --version`
 * @returns {SetupFailure | undefined} what is wrong, if anything
 */
export function judgeRustToolchain(cargo, rustc) {
  if (!cargo.found || !rustc.found) {
    return new SetupFailure(`${cargo.found ? 'rustc' : 'cargo'} is missing: the runner is written in Rust`, {
      remedy: `install Rust ${OLDEST_RUST} or newer as https://rustup.rs says, then start again`,
    });
  }
  const version = /^rustc (\d+\.\d+\.\d+)/.exec(rustc.stdout)?.[1];
  if (version === undefined || cargo.status !== 0) {
    return new SetupFailure('the Rust toolchain does not work', {
      output: `${cargo.stderr}\n${rustc.stderr}`.split('\n').filter((line) => line.trim() !== ''),
      remedy: 'rustup default stable',
    });
  }
  if (isOlder(version, OLDEST_RUST)) {
    return new SetupFailure(`Rust ${version} is too old: Wasmtime needs ${OLDEST_RUST} or newer`, {
      remedy:
        "rustup update stable (a Rust from a distribution's packages: install a newer one as https://rustup.rs says)",
    });
  }
  return undefined;
}

/**
 * The triple that Rust builds for on this machine.
 * @param {import('../lib/project.mjs').Project} project
 * @returns {Promise<string>} such as `x86_64-unknown-linux-gnu`; rejects with SetupFailure when rustc does not say
 */
export async function readHostTriple(project) {
  const answer = await capture('rustc', ['-vV'], { env: project.env, cwd: project.root });
  const triple = /^host: (\S+)$/m.exec(answer.stdout)?.[1];
  if (triple === undefined) {
    throw new SetupFailure('rustc does not say what machine it builds for', { output: answer.stderr.split('\n') });
  }
  return triple;
}
