import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { startPeer } from './peer.ts';

/** The version that the runner embeds: another one would not be the same engine. */
export const PEER_VERSION = '48.0.8';

const SMALL = join(import.meta.dirname, '../guests/small.wasm');

/** What `wasmtime serve` needs; a build with all features takes twice as long. */
const FEATURES =
  'run,serve,compile,component-model,component-model-async,parallel-compilation,pooling-allocator,cranelift,wat';

/**
 * Finds the full `wasmtime` command to measure against: the one that PLAYA_PEER_WASMTIME names, else one on PATH, else one in the
 * cache folder (`$XDG_CACHE_HOME/playa/peer`, `~/.cache/playa/peer`), where cargo builds it when there is none: once, some ten minutes
 * on two cores.
 * @throws when the named one is of another version or has no `serve`, and when cargo fails
 */
export async function findPeer(env: NodeJS.ProcessEnv): Promise<string> {
  const named = env['PLAYA_PEER_WASMTIME'];
  if (named !== undefined) {
    if (await isPeer(named)) return named;
    throw new Error(`PLAYA_PEER_WASMTIME names ${named}, which is no wasmtime ${PEER_VERSION} with the command serve`);
  }
  const root = join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'playa/peer', PEER_VERSION);
  const folders = (env['PATH'] ?? '').split(delimiter).filter(Boolean);
  for (const folder of [...folders, join(root, 'bin')]) {
    const file = join(folder, 'wasmtime');
    if (existsSync(file) && (await isPeer(file))) return file;
  }
  return build(root);
}

async function isPeer(file: string): Promise<boolean> {
  try {
    const { stdout } = await promisify(execFile)(file, ['--version']);
    if (!stdout.startsWith(`wasmtime ${PEER_VERSION}`)) return false;
    // The command that set-up builds cannot serve, and a build without help cannot be asked: it is tried.
    await (await startPeer(file, SMALL)).stop();
    return true;
  } catch {
    return false;
  }
}

async function build(root: string): Promise<string> {
  console.error(`building wasmtime ${PEER_VERSION} into ${root}: some ten minutes, once`);
  mkdirSync(root, { recursive: true });
  const args = ['install', 'wasmtime-cli', '--version', PEER_VERSION, '--locked', '--root', root];
  const child = spawn('cargo', [...args, '--no-default-features', '--features', FEATURES], { stdio: ['ignore', 2, 2] });
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
  const file = join(root, 'bin/wasmtime');
  if (code !== 0 || !(await isPeer(file)))
    throw new Error(`cargo did not build wasmtime ${PEER_VERSION}; its output is above`);
  return file;
}
