import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { contains, parseAddress, parseCidr } from '../../packages/dispatcher/src/egress/address.ts';
import { denyAddress } from '../../packages/dispatcher/src/egress/denied.ts';
import { networkNamespacesMissing } from '../harness/network-namespace.ts';
import { PROJECT } from '../harness/project.ts';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';

const NAME = `playa-test-${process.pid}`;
const FOLDER = join(PROJECT.root, 'deploy/egress-fence');
const ADDRESSES = ['9.9.9.9', '169.254.169.254', '10.99.0.1', '10.98.0.53'];

const reason = networkNamespacesMissing(['nft', 'iptables']);
if (reason !== undefined) console.log(`skipped: ${reason}`);
const SYSTEMD = spawnSync('systemd-analyze', ['--version']).status === 0;
if (!SYSTEMD) console.log('skipped: there is no systemd-analyze (apt-get install systemd)');

/** What is reached from one place. */
type Look = { results: Record<string, string>; active: boolean; undone: boolean[] };

test.runIf(reason === undefined)('behind the second fence metadata and neighbours are out of reach', async () => {
  execFileSync('ip', ['netns', 'add', NAME]);
  try {
    const probe = join(import.meta.dirname, 'fence-probe.mjs');
    const args = ['netns', 'exec', NAME, process.execPath, probe, join(FOLDER, 'fence.sh'), `${NAME}-w`, ...ADDRESSES];
    const { stdout } = await promisify(execFile)('ip', args);
    const seen = JSON.parse(stdout.trim().split('\n').at(-1)!) as {
      [check in 'before' | 'after' | 'stillAfter' | 'withoutFilter' | 'down' | 'second']: number;
    } & { outside: Look; inside: Look; again: string; left: string };
    const { outside, inside, again, left, ...checks } = seen;
    expect(checks).toEqual({ before: 1, after: 0, stillAfter: 0, withoutFilter: 1, down: 1, second: 0 });
    // Without it all of them are there.
    expect(outside.active).toBe(false);
    for (const address of ADDRESSES) expect([address, outside.results[address]]).toEqual([address, 'reached']);
    expect(inside.active).toBe(true);
    expect(inside.undone).toEqual([false, false]);
    expect(inside.results).toEqual({
      '9.9.9.9': 'reached',
      '10.98.0.53': 'reached',
      '169.254.169.254': 'EACCES',
      '::ffff:169.254.169.254': 'EACCES',
      '10.99.0.1': 'EACCES',
      // The host, by its end of the link and by another of its addresses.
      '10.213.77.1': 'ECONNREFUSED',
      '10.77.0.1': 'EACCES',
    });
    expect(again).toContain('there is a namespace pf already');
    expect(left).toContain('DOCKER-USER');
    expect(left).not.toMatch(/pf-h|playa_fence/);
  } finally {
    execFileSync('ip', ['netns', 'delete', NAME]);
  }
});

describe('fence.sh', () => {
  const fence = (...args: string[]): { status: number | null; stderr: string; stdout: string } =>
    spawnSync(join(FOLDER, 'fence.sh'), args, { encoding: 'utf8' });

  test.runIf(reason === undefined)('refuses a name that nothing can be called by', () => {
    expect(fence('up', 'a-b').stderr).toMatch(/"a-b" cannot be the name of the namespace/);
    expect(fence('up', 'much_too_long_').stderr).toMatch(/13 characters at most/);
    expect(fence('check', 'nobody_has_it').stdout).toBe('there is no namespace nobody_has_it\n');
  });

  test('says how it is used', () => {
    const { status, stdout } = fence();
    expect(status).toBe(64);
    for (const command of ['up [NAME]', 'here', 'check [NAME]', 'down [NAME]', 'FENCE_ALLOW', 'FENCE_NETWORK']) {
      expect(stdout).toContain(command);
    }
  });

  test('denies what the broker denies of IPv4, and nothing else', () => {
    const script = readFileSync(join(FOLDER, 'fence.sh'), 'utf8');
    const denied = /^deny="([^"]*)"/m
      .exec(script)![1]!
      .split(/\s+/)
      .map((range) => parseCidr(range)!);
    const differing: string[] = [];
    const book = { exempt: [], local: [] };
    const compare = (text: string): void => {
      const address = parseAddress(text)!;
      const byBroker = 'reason' in denyAddress(address, book);
      // Loopback stays, within the namespace.
      if (!text.startsWith('127.') && byBroker !== denied.some((range) => contains(range, address)))
        differing.push(text);
    };
    for (let first = 0; first < 256; first++) {
      for (let second = 0; second < 256; second++) {
        compare(`${first}.${second}.77.77`);
        // Where there are networks of 256 addresses.
        if ([192, 198, 203].includes(first))
          for (let third = 0; third < 256; third++) compare(`${first}.${second}.${third}.7`);
      }
    }
    compare('168.63.129.16');
    expect(differing).toEqual([]);
  });
});

test.runIf(SYSTEMD)('systemd takes the units', () => {
  const folder = makeTemporaryFolder('units');
  try {
    // Where they are installed there is the tree; here it lies elsewhere.
    const read = (name: string): string =>
      readFileSync(join(FOLDER, name), 'utf8').replaceAll('/opt/playa', PROJECT.root);
    const dropIns = join(folder.path, 'playa.service.d');
    mkdirSync(dropIns);
    for (const name of ['playa-egress-fence.service', 'playa.service'])
      writeFileSync(join(folder.path, name), read(name));
    writeFileSync(join(dropIns, 'egress-fence.conf'), read('playa.service.d-egress-fence.conf'));
    for (const name of ['playa-egress-fence.service', 'playa.service']) {
      const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', join(folder.path, name)], {
        encoding: 'utf8',
        env: { ...process.env, SYSTEMD_UNIT_PATH: `${folder.path}:` },
      });
      // It complains of other units of the machine, too.
      const complaints = stderr.split('\n').filter((line) => line.includes('playa'));
      expect([name, status, complaints]).toEqual([name, 0, []]);
    }
  } finally {
    folder.remove();
  }
});
