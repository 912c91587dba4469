import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, lstatSync, mkdirSync, readlinkSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { networkNamespacesMissing } from '../harness/network-namespace.ts';
import { PROJECT } from '../harness/project.ts';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';

const run = promisify(execFile);
const ANSWER_TIMEOUT_MS = 5_000;
const ADDRESSES = ['9.9.9.9', '169.254.169.254', '10.99.0.1', '10.98.0.53', '10.77.0.1'];
const IMAGE = `playa-test-fence:${process.pid}`;
const WORLD = `playa-world-${process.pid}`;
const TREE = '/opt/playa';

/** Why the container cannot be tried here; undefined where it can. */
function missing(): string | undefined {
  try {
    execFileSync('docker', ['version', '--format', '{{.Server.Version}}'], {
      timeout: ANSWER_TIMEOUT_MS,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    return 'no Docker engine answers';
  }
  return networkNamespacesMissing(['nft']);
}

const reason = missing();
if (reason !== undefined) console.log(`skipped: ${reason}`);

const folder = makeTemporaryFolder('fence-image');
let pause: string | undefined;
let world: ChildProcess | undefined;

const docker = async (...args: string[]): Promise<string> => (await run('docker', args)).stdout.trim();

/** An image of nothing but places: the programs are this machine's own, mounted, as nothing is fetched while tests run. */
async function makeImage(): Promise<void> {
  const root = join(folder.path, 'root');
  for (const name of ['usr', 'etc', 'proc', 'sys', 'dev', 'tmp', 'run', 'opt/playa']) {
    mkdirSync(join(root, name), { recursive: true });
  }
  chmodSync(join(root, 'tmp'), 0o1777);
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    if (lstatSync(`/${name}`).isSymbolicLink()) symlinkSync(readlinkSync(`/${name}`), join(root, name));
    else mkdirSync(join(root, name));
  }
  const archive = join(folder.path, 'image.tar');
  await run('tar', ['-C', root, '-cf', archive, '.']);
  await docker('import', archive, IMAGE);
}

function mounts(): string[] {
  const folders = ['/bin', '/sbin', '/lib', '/lib64'].filter((name) => !lstatSync(name).isSymbolicLink());
  return ['/usr', ...folders].flatMap((name) => ['--volume', `${name}:${name}:ro`]);
}

beforeAll(async () => {
  if (reason !== undefined) return;
  await makeImage();
  // It holds the network namespace that the container under test is put into.
  pause = await docker('run', '--detach', '--rm', '--network', 'none', ...mounts(), IMAGE, '/bin/sleep', 'infinity');
  const pid = await docker('inspect', '--format', '{{.State.Pid}}', pause);
  const ip = (...args: string[]): void => void execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const inContainer = (...args: string[]): void =>
    void execFileSync('nsenter', ['--target', pid, '--net', 'ip', ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
  ip('netns', 'add', WORLD);
  ip('-n', WORLD, 'link', 'add', 'out', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pid);
  for (const address of ['10.77.0.1/24', ...ADDRESSES.slice(0, -1).map((text) => `${text}/32`)]) {
    ip('-n', WORLD, 'address', 'add', address, 'dev', 'out');
  }
  ip('-n', WORLD, 'link', 'set', 'out', 'up');
  inContainer('address', 'add', '10.77.0.2/24', 'dev', 'eth0');
  inContainer('link', 'set', 'eth0', 'up');
  inContainer('route', 'add', 'default', 'via', '10.77.0.1');
  const serve = `require('node:net').createServer((socket) => socket.end('reached')).listen(8000, () => console.log('listening'));`;
  world = spawn('ip', ['netns', 'exec', WORLD, process.execPath, '-e', serve], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(world.stdout!, 'data');
}, 120_000);

afterAll(async () => {
  if (world !== undefined) {
    world.kill();
    await once(world, 'close');
  }
  if (pause !== undefined) await docker('rm', '--force', pause);
  if (reason === undefined) {
    execFileSync('ip', ['netns', 'delete', WORLD]);
    await docker('image', 'rm', '--force', IMAGE);
  }
  folder.remove();
}, 120_000);

describe.runIf(reason === undefined)('a container behind the fence', () => {
  const CAPABILITIES = ['NET_ADMIN', 'SETUID', 'SETGID', 'SETPCAP'];
  const ENTRY = join(TREE, 'deploy/egress-fence/docker-entrypoint.sh');

  /** Runs a command in a container as docs/egress.md says; where `fence` is false, without the entry point. */
  const inContainer = async (
    { fence = true, capabilities = CAPABILITIES, more = [] as string[] },
    ...command: string[]
  ): Promise<string> =>
    docker(
      ...['run', '--rm', '--network', `container:${pause}`, '--cap-drop', 'ALL'],
      ...[...capabilities.flatMap((name) => ['--cap-add', name]), ...more],
      ...['--env', 'FENCE_ALLOW=10.98.0.53', '--tmpfs', '/tmp:exec,mode=1777', ...mounts()],
      ...['--volume', `${PROJECT.root}:${TREE}:ro`, ...(fence ? ['--entrypoint', ENTRY] : []), IMAGE, ...command],
    );
  const client = (...flags: string[]): string[] => [
    join(TREE, 'toolchain/node/run'),
    join(TREE, 'test/egress/fence-client.mjs'),
    ...flags,
    ...ADDRESSES,
  ];

  test('reaches the public and what is allowed, neither metadata nor neighbours, and cannot undo it', async () => {
    const before = JSON.parse(await inContainer({ fence: false }, ...client())) as { results: Record<string, string> };
    for (const address of ADDRESSES) expect([address, before.results[address]]).toEqual([address, 'reached']);
    const after = JSON.parse(await inContainer({}, ...client('--undo'))) as Record<string, unknown>;
    expect(after).toEqual({
      results: {
        '9.9.9.9': 'reached',
        '10.98.0.53': 'reached',
        '169.254.169.254': 'EACCES',
        '10.99.0.1': 'EACCES',
        // The neighbour on the link, for which there is a route.
        '10.77.0.1': 'ECONNREFUSED',
      },
      active: true,
      uid: 1000,
      capabilities: '0000000000000000',
      undone: [false, false],
    });
  });

  test('is seen by playa doctor', async () => {
    const more = [
      '--security-opt',
      'seccomp=unconfined',
      '--security-opt',
      'systempaths=unconfined',
      '--env',
      'HOME=/tmp',
    ];
    const text = await inContainer({ more }, join(TREE, 'packages/dispatcher/bin/playa'), 'doctor');
    expect(text).toContain('The second fence of docs/egress.md is active');
  });

  test('does not start where the fence cannot be raised', async () => {
    const capabilities = CAPABILITIES.filter((name) => name !== 'NET_ADMIN');
    const without = inContainer({ capabilities }, '/bin/echo', 'started');
    await expect(without).rejects.toMatchObject({
      stdout: '',
      stderr: expect.stringContaining('not permitted') as string,
    });
  });
});
