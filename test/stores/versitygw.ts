import { spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { PROJECT } from '../harness/project.ts';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { waitUntil } from '../harness/wait-until.ts';
import { freePort } from './free-port.ts';

/** Built by set-up, at the version that go.mod pins. */
export const GATEWAY_PROGRAM = join(PROJECT.root, 'build/bin/versitygw');

/** What a running gateway accepts. */
export const GATEWAY_KEYS = { accessKeyId: 'gateway-access', secretAccessKey: 'gateway-secret-0123456789' };
export const GATEWAY_REGION = 'test-region-1';

/** An S3 server over a folder that verifies signatures: versitygw, as go.mod pins it. */
export type Gateway = {
  /** `http://127.0.0.1:PORT`. */
  url: string;
  port: number;
  /** Where buckets are folders. */
  folder: string;
  /** The same one again on its port, after `stop`. */
  start: () => Promise<void>;
  /** Ends the process, as a crash would. */
  stop: () => Promise<void>;
  remove: () => Promise<void>;
};

/** Why the gateway cannot be had here; undefined where it can. */
export function gatewayMissing(): string | undefined {
  return existsSync(GATEWAY_PROGRAM) ? undefined : 'npm test builds it where there is Go 1.25 or newer';
}

/** Starts a gateway with the buckets named, on a port of its own. `flags` come beside those that it always has, or instead. */
export async function startGateway(
  buckets: readonly string[],
  flags: Readonly<Record<string, string>> = {},
): Promise<Gateway> {
  const temporary = makeTemporaryFolder('gateway');
  for (const bucket of buckets) mkdirSync(join(temporary.path, bucket));
  const port = await freePort();
  let stop = async (): Promise<void> => {};

  const start = async (): Promise<void> => {
    const settings = Object.entries({ port: `127.0.0.1:${port}`, region: GATEWAY_REGION, ...flags });
    const args = settings.flatMap(([name, value]) => [`--${name}`, value]);
    const child = spawn(GATEWAY_PROGRAM, [...args, '--quiet', '--keep-alive', 'posix', temporary.path], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ROOT_ACCESS_KEY: GATEWAY_KEYS.accessKeyId, ROOT_SECRET_KEY: GATEWAY_KEYS.secretAccessKey },
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
    stop = async () => {
      child.kill('SIGKILL');
      await ended;
    };
    await waitUntil(
      'the gateway answers',
      async () => {
        if (child.exitCode !== null) throw new Error(`versitygw ended with ${child.exitCode}: ${said}`);
        return (await accepts(port)) || undefined;
      },
      () => said,
    );
  };
  await start();
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    folder: temporary.path,
    start,
    stop: () => stop(),
    remove: async () => {
      await stop();
      temporary.remove();
    },
  };
}

/** Whether somebody listens; what it speaks does not matter. */
function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
