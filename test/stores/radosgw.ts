import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createCredentials } from '@playa/common/credentials/credentials';
import { S3_RULES } from '@playa/common/sigv4/dialect';
import { signRequest } from '@playa/common/sigv4/sign-request';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { waitUntil } from '../harness/wait-until.ts';
import { freePort } from './free-port.ts';

const run = promisify(execFile);
const PROGRAMS = ['monmaptool', 'ceph-mon', 'ceph', 'ceph-osd', 'radosgw-admin', 'radosgw'];
/** A monitor, a store in memory and the gateway start one after the other: 15 s on an idle machine. */
export const RADOSGW_START_LIMIT_MS = 3 * 60_000;
export const RADOSGW_KEYS = { accessKeyId: 'rados-access', secretAccessKey: 'rados-secret-0123456789' };

/** A running gateway. */
export type Radosgw = { url: string; stop: () => Promise<void> };

/** Why the gateway cannot be had here; undefined where it can. */
export function radosgwMissing(): string | undefined {
  const missing = PROGRAMS.filter((name) => !existsSync(join('/usr/bin', name)));
  if (missing.length === 0) return undefined;
  return `no ${missing.join(', ')}: apt-get install ceph-mon ceph-osd ceph-common radosgw`;
}

/** Starts Ceph with one monitor, one store in memory and its S3 gateway, without replicas or authentication among them, and makes a bucket. */
export async function startRadosgw(bucket: string): Promise<Radosgw> {
  const temporary = makeTemporaryFolder('radosgw');
  const folder = temporary.path;
  const [monitorPort, port] = [await freePort(), await freePort()];
  const fsid = randomUUID();
  for (const name of ['mon', 'osd', 'run']) mkdirSync(join(folder, name));
  const config = join(folder, 'ceph.conf');
  writeFileSync(config, configuration(folder, fsid, monitorPort, port));
  const command = async (name: string, ...args: string[]): Promise<string> =>
    (await run(name, args, { env: { PATH: process.env['PATH'], CEPH_CONF: config }, cwd: folder, timeout: 120_000 }))
      .stdout;

  /** A monitor that was just started may turn a question away (EPERM), whichever it is: it is asked again. */
  const ask = (...question: string[]): Promise<string> =>
    waitUntil(`the monitor answers: ${question.join(' ')}`, () =>
      command('ceph', '--connect-timeout', '50', ...question).catch((error: Error) => {
        if (!error.message.includes('EPERM')) throw error;
        return undefined;
      }),
    );

  const children: ChildProcess[] = [];
  const daemon = (name: string, ...args: string[]): ChildProcess => {
    const output = openSync(join(folder, `${name}.log`), 'w');
    const stdio = ['ignore', output, output] as const;
    const child = spawn(name, [...args, '-c', config, '-f'], { stdio: [...stdio], cwd: folder });
    children.push(child);
    closeSync(output);
    return child;
  };
  const stop = async (): Promise<void> => {
    for (const child of children.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await new Promise((resolve) => child.once('close', resolve));
    }
    temporary.remove();
  };
  try {
    // Version 1 of Ceph's protocol: radosgw 16 does without authentication in that one only.
    const map = join(folder, 'monmap');
    await command('monmaptool', '--create', '--fsid', fsid, '--addv', 'a', `[v1:127.0.0.1:${monitorPort}]`, map);
    await command('ceph-mon', '--mkfs', '-i', 'a', '--monmap', map, '-c', config);
    daemon('ceph-mon', '-i', 'a');
    const osd = randomUUID();
    await ask('osd', 'new', osd);
    await command('ceph-osd', '-i', '0', '--mkfs', '--osd-uuid', osd, '-c', config);
    await ask('osd', 'crush', 'add', 'osd.0', '1', 'root=default', 'host=localhost');
    let store = daemon('ceph-osd', '-i', '0');
    await waitUntil('the store is up', async () => {
      // Now and then the monitor, itself just started, tells the store that it belongs to another cluster ("wrong fsid"), and it ends.
      if (store.exitCode !== null) store = daemon('ceph-osd', '-i', '0');
      const { num_up_osds: up } = JSON.parse(await ask('osd', 'stat', '-f', 'json')) as StoreCount;
      return up === 1 || undefined;
    });
    const { accessKeyId, secretAccessKey } = RADOSGW_KEYS;
    const keys = [`--access-key=${accessKeyId}`, `--secret-key=${secretAccessKey}`];
    await command('radosgw-admin', 'user', 'create', '--uid=test', '--display-name=test', ...keys);
    daemon('radosgw', '-n', 'client.admin');
    const url = `http://127.0.0.1:${port}`;
    await waitUntil('radosgw answers', async () => (await fetch(url).catch(() => undefined)) && true);
    await makeBucket(url, bucket);
    return { url, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

type StoreCount = { num_up_osds: number };

function configuration(folder: string, fsid: string, monitorPort: number, port: number): string {
  return Object.entries({
    fsid,
    'mon host': `v1:127.0.0.1:${monitorPort}`,
    'public addr': '127.0.0.1',
    'ms bind msgr2': 'false',
    'auth cluster required': 'none',
    'auth service required': 'none',
    'auth client required': 'none',
    keyring: '/dev/null',
    'run dir': join(folder, 'run'),
    'admin socket': join(folder, 'run/$name.$pid.sock'),
    'log file': '',
    'log to stderr': 'true',
    'mon cluster log file': '/dev/null',
    'osd pool default size': '1',
    'osd pool default min size': '1',
    'osd pool default pg num': '1',
    'osd pool default pgp num': '1',
    'osd pool default pg autoscale mode': 'off',
    'mon allow pool size one': 'true',
    'osd crush chooseleaf type': '0',
    'mon data': join(folder, 'mon'),
    'mon data avail crit': '1',
    'osd data': join(folder, 'osd'),
    'osd objectstore': 'memstore',
    'memstore device bytes': '1073741824',
    'rgw frontends': `beast endpoint=127.0.0.1:${port}`,
  }).reduce((text, [name, value]) => `${text}${name} = ${value}\n`, '[global]\n');
}

async function makeBucket(url: string, bucket: string): Promise<void> {
  const path = `/${bucket}`;
  const headers = signRequest(
    { method: 'PUT', host: new URL(url).host, path, query: [], headers: [] },
    createHash('sha256').digest('hex'),
    {
      credentials: createCredentials(RADOSGW_KEYS),
      region: 'us-east-1',
      service: 's3',
      timeMs: Date.now(),
      rules: S3_RULES,
    },
  );
  const answer = await fetch(url + path, {
    method: 'PUT',
    headers: headers.map(([name, value]): [string, string] => [name, value]),
  });
  if (!answer.ok) throw new Error(`radosgw made no bucket: ${answer.status} ${await answer.text()}`);
}
