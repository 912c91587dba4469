import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ConfigError } from '../config/config-error.ts';
import { flagOf, OPTION_NAMES } from '../config/option-names.ts';
import type { Config } from '../config/options.ts';

/** A server that the doctor attacks: the shipped program with the operator's own configuration. */
export type DoctorServer = {
  url: string;
  pid: number;
  /** Bytes of what functions wrote to their logs so far. */
  loggedBytes: () => number;
  /** Resolves with the log's lines when it has ended; it is killed when it does not end in time. */
  stop: () => Promise<void>;
};

type Line = { msg?: string; url?: string; text?: string };

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 15_000;

/**
 * Starts it on a free port of the loopback.
 * @throws {ConfigError} with the server's own words when it does not start.
 */
export async function startDoctorServer(config: Config): Promise<DoctorServer> {
  const flags = OPTION_NAMES.filter((name) => config[name] !== '').flatMap((name) => [
    flagOf(name),
    String(config[name]),
  ]);
  const child = spawn(process.execPath, [...process.execArgv, MAIN, 'serve', '--no-config', ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PLAYA_'))),
  });
  const ended = once(child, 'close');
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-8192)));
  let logged = 0;
  const listening = Promise.withResolvers<string>();
  createInterface(child.stdout).on('line', (text) => {
    const line = parseLine(text);
    if (line.msg === 'listening') listening.resolve(line.url!);
    if (line.msg === 'function log') logged += Buffer.byteLength(line.text ?? '');
  });
  void ended.then(() => listening.reject(new ConfigError(`the server did not start: ${said.trim()}`)));
  const timer = setTimeout(() => child.kill('SIGKILL'), START_LIMIT_MS);
  const url = await listening.promise.finally(() => clearTimeout(timer));
  return {
    url,
    pid: child.pid!,
    loggedBytes: () => logged,
    stop: async () => {
      child.kill('SIGTERM');
      const kill = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
      await ended;
      clearTimeout(kill);
    },
  };
}

function parseLine(text: string): Line {
  try {
    return JSON.parse(text) as Line;
  } catch {
    // Not every line is the logger's: Node writes its warnings as they are.
    return {};
  }
}
