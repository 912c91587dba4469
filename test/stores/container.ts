import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { waitUntil } from '../harness/wait-until.ts';
import { GATEWAY_KEYS, GATEWAY_PROGRAM, GATEWAY_REGION, gatewayMissing } from './versitygw.ts';

const run = promisify(execFile);
const ANSWER_TIMEOUT_MS = 5_000;
const PORT = '7070';

/** A running gateway in a container. */
export type Container = { url: string; stop: () => Promise<void> };

/** Why no container can be started here; undefined where one can. */
export function containerMissing(): string | undefined {
  try {
    const options = { timeout: ANSWER_TIMEOUT_MS, stdio: ['ignore', 'pipe', 'ignore'] as ['ignore', 'pipe', 'ignore'] };
    execFileSync('docker', ['version', '--format', '{{.Server.Version}}'], options);
  } catch {
    return 'no Docker engine answers';
  }
  return gatewayMissing();
}

/**
 * Starts versitygw in a container of its own, on a port that the engine chooses. The image is made of the program that set-up has built, as nothing
 * is fetched while tests run.
 */
export async function startContainer(bucket: string): Promise<Container> {
  const temporary = makeTemporaryFolder('container');
  mkdirSync(join(temporary.path, bucket));
  const image = `playa-test-versitygw:${process.pid}`;
  const docker = async (...args: string[]): Promise<string> => (await run('docker', args)).stdout.trim();

  const archive = join(temporary.path, 'image.tar');
  await run('tar', ['-C', dirname(GATEWAY_PROGRAM), '-cf', archive, 'versitygw']);
  await docker('import', '--change', 'ENTRYPOINT ["/versitygw"]', archive, image);
  const user = `${process.getuid!()}:${process.getgid!()}`;
  const container = await docker(
    ...['run', '--detach', '--rm', '--publish', `127.0.0.1::${PORT}`, '--volume', `${temporary.path}:/data`],
    ...['--user', user, '--env', `ROOT_ACCESS_KEY=${GATEWAY_KEYS.accessKeyId}`],
    ...['--env', `ROOT_SECRET_KEY=${GATEWAY_KEYS.secretAccessKey}`, image],
    ...['--port', `:${PORT}`, '--region', GATEWAY_REGION, '--quiet', 'posix', '/data'],
  );
  const stop = async (): Promise<void> => {
    await docker('rm', '--force', container);
    await docker('image', 'rm', '--force', image);
    temporary.remove();
  };
  try {
    const address = (await docker('port', container, PORT)).split('\n')[0];
    const url = `http://${address}`;
    await waitUntil('the container answers', async () => (await fetch(url).catch(() => undefined)) && true);
    return { url, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
