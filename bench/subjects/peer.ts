import { spawn } from 'node:child_process';

/** A running server that is measured. */
export type Subject = { url: string; stop: () => Promise<void> };

/**
 * Starts `wasmtime serve` with a component, as it is run by default: an instance for each request, no limits, no sandbox.
 * @param component a `.wasm`; it is compiled before the first request is taken
 */
export async function startPeer(command: string, component: string): Promise<Subject> {
  const child = spawn(command, ['serve', '-S', 'cli', '--addr', '127.0.0.1:0', component], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {},
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  let output = '';
  const url = await new Promise<string>((resolve, reject) => {
    const look = (text: string): void => {
      output += text;
      const match = /Serving HTTP on (http:\/\/[\d.:]+)\//.exec(output);
      if (match !== null) resolve(`${match[1]!}/`);
    };
    child.stdout.setEncoding('utf8').on('data', look);
    child.stderr.setEncoding('utf8').on('data', look);
    child.once('error', reject);
    void ended.then(() => reject(new Error(`wasmtime serve ended: ${output}`)));
  });
  return {
    url,
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
