import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { PROJECT } from '../../../../test/harness/project.ts';
import { buildEnvironment } from '../../../../test/harness/artifacts.ts';

/** What a finished command left. */
export type Ran = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

/** How it is run. */
export type RunOptions = {
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Called with all of stderr so far, whenever there is more. */
  readonly onStderr?: (stderr: string, kill: (signal: NodeJS.Signals) => void) => void;
};

/** Runs the shipped build-cwasm as its own process. */
export async function buildCwasm(args: readonly string[], { cwd, env, onStderr }: RunOptions): Promise<Ran> {
  const child = spawn(PROJECT.buildCwasm, args, {
    cwd,
    env: { ...buildEnvironment(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    onStderr?.(stderr, (signal) => child.kill(signal));
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}
