import { execFile, type ExecFileException } from 'node:child_process';
import { PROJECT } from './project.ts';
import { buildEnvironment } from './artifacts.ts';

/** How a command ended, and what it wrote. */
export type PlayaRun = { code: number; stdout: string; stderr: string; json: Record<string, unknown> };

const TIMEOUT_MS = 120_000;

/** Runs a command of the shipped `playa` with the tests' keys and compiler. `json` is stdout, parsed, of a command with `--json`. */
export function runPlaya(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<PlayaRun> {
  return new Promise((resolve) => {
    execFile(
      PROJECT.playa,
      [...args],
      { env: { ...buildEnvironment(), ...env }, timeout: TIMEOUT_MS, maxBuffer: 16 * 1024 * 1024 },
      (error: ExecFileException | null, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        const json = args.includes('--json') && stdout !== '' ? (JSON.parse(stdout) as Record<string, unknown>) : {};
        resolve({ code, stdout, stderr, json });
      },
    );
  });
}
