import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildGuest } from '../harness/artifacts.ts';
import { processesByKind } from '../harness/kinds-of-process.ts';
import { readCommandLine, readNamespace, readStatusField, type ProcessEntry } from '../harness/process-tree.ts';
import { makeBucket, type TestBucket } from '../harness/test-bucket.ts';
import { startServer, type TestServer } from '../harness/test-server.ts';

const NAMESPACES = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts'];
const IS_ROOT = process.getuid!() === 0;

/** The soft and the hard value of each limit of a process, by its name in /proc without the `Max `. */
function readLimits(pid: number): Map<string, [string, string]> {
  const lines = readFileSync(`/proc/${pid}/limits`, 'utf8').trim().split('\n').slice(1);
  return new Map(
    lines.map((line) => {
      const [, name, soft, hard] = /^Max (.*?) {2,}(\S+) +(\S+)/.exec(line)!;
      return [name!, [soft!, hard!]];
    }),
  );
}

/** Workers and their supervisors: those that wait in the pool may be just starting. */
function serving(): ProcessEntry[] {
  return runners.filter(({ pid, parent }) => runners.some((other) => other.pid === parent || other.parent === pid));
}

let bucket: TestBucket;
let server: TestServer;
let all: ProcessEntry[];
let runners: ProcessEntry[];
let stop: () => Promise<void>;

beforeAll(async () => {
  const probe = await buildGuest('probe');
  bucket = makeBucket({ one: probe, two: probe, command: await buildGuest('command-module') });
  server = await startServer(bucket.path, { 'wall-ms': 600_000 });
  // Load: requests that run and wait, in three sandboxes, while they are looked at.
  const waiting = await Promise.all(
    ['one', 'one', 'one', 'two', 'two'].map((name) => server.openInvoke(`${name}/answer-then-never?bytes=1`)),
  );
  waiting.push(await server.openInvoke('command/download?bytes=1000000000'));
  all = server.processes();
  runners = all.filter((entry) => entry.name === 'runner');
  stop = async () => {
    for (const answer of waiting) answer.destroy();
    await Promise.all(waiting.map((answer) => server.log.invocation(answer.headers['x-playa-request-id'] as string)));
    await server.stop();
  };
});

afterAll(async () => {
  // After it nothing may be left: `stop` throws otherwise.
  await stop();
  bucket.remove();
});

test('whether sandboxes have control groups is said, and is no matter of readiness', async () => {
  const answer = await server.get('/readyz');
  const { status, checks } = JSON.parse(answer.text) as { status: string; checks: Record<string, unknown>[] };
  expect([answer.status, status]).toEqual([200, 'ready']);
  const check = checks.find(({ name }) => name === 'control groups');
  expect(check).toMatchObject({ ok: true, available: expect.any(Boolean), detail: expect.stringMatching(/./) });
});

test('there are the dispatcher, its spawner, bubblewraps and runners, and nothing else', () => {
  const names = Map.groupBy(all, (entry) => entry.name);
  expect([...names.keys()].toSorted()).toEqual(['bwrap', 'playa: spawner', 'runner']);
  // A bubblewrap that is just being started has its name still.
  expect(processesByKind(server).spawner.map(({ name }) => name)).toEqual(['playa: spawner']);
  expect(readCommandLine(server.pid)).toMatch(/^playa: dispatcher/);
  // Three functions, each with a supervisor and the workers of its requests.
  expect(runners.length).toBeGreaterThanOrEqual(3 + 6);
  const supervisors = runners.filter(({ parent }) => all.find(({ pid }) => pid === parent)?.name === 'bwrap');
  expect(supervisors.length).toBeGreaterThanOrEqual(3);
});

describe('every process in a sandbox', () => {
  test('has no capability and cannot gain any', () => {
    for (const { pid } of runners) {
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
        expect([pid, set, readStatusField(pid, set)]).toEqual([pid, set, '0000000000000000']);
      }
      expect(readStatusField(pid, 'NoNewPrivs')).toBe('1');
    }
  });

  test.runIf(IS_ROOT)('runs under a user id of its sandbox alone, which is not root', () => {
    const own = readStatusField(server.pid, 'Uid')!;
    const ids = new Map(runners.map(({ pid }) => [readNamespace(pid, 'pid'), readStatusField(pid, 'Uid')!]));
    for (const uid of ids.values()) {
      expect(uid.split('\t')).not.toContain('0');
      expect(uid).not.toBe(own);
    }
    expect(new Set(ids.values()).size).toBe(ids.size);
    for (const { pid } of runners) {
      expect(readStatusField(pid, 'Uid')).toBe(ids.get(readNamespace(pid, 'pid')));
      expect(readStatusField(pid, 'Groups')).toBe('');
    }
  });

  test('is in namespaces that no other sandbox and not the server is in', () => {
    const sandboxes = Map.groupBy(runners, ({ pid }) => readNamespace(pid, 'pid'));
    for (const kind of NAMESPACES) {
      const ofSandboxes = [...sandboxes.values()].map((members) => members.map(({ pid }) => readNamespace(pid, kind)));
      for (const members of ofSandboxes) expect(new Set(members).size).toBe(1);
      expect(new Set(ofSandboxes.flat()).size).toBe(sandboxes.size);
      expect(ofSandboxes.flat()).not.toContain(readNamespace(server.pid, kind));
    }
  });

  test('has no network but its own loopback', () => {
    for (const { pid } of runners) {
      const interfaces = readFileSync(`/proc/${pid}/net/dev`, 'utf8')
        .split('\n')
        .slice(2)
        .map((line) => line.split(':')[0]!.trim())
        .filter(Boolean);
      expect(interfaces).toEqual(['lo']);
      expect(readFileSync(`/proc/${pid}/net/route`, 'utf8').trim().split('\n')).toHaveLength(1);
    }
  });

  test('sees its program and its component, read-only, and no other file', () => {
    for (const { pid } of runners) {
      const root = `/proc/${pid}/root`;
      expect(readdirSync(root).toSorted()).toEqual(['in', 'runner']);
      const mounts = readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
        .trim()
        .split('\n')
        .map((line) => line.split(' '));
      expect(mounts.map((fields) => fields[4]).toSorted()).toEqual(['/', '/in', '/runner']);
      for (const fields of mounts) expect(fields[5]!.split(',')).toContain('ro');
      expect(readdirSync(join(root, 'in')).filter((name) => name !== 'component')).toEqual([]);
    }
  });

  test('stands back behind the server where processors are short', () => {
    for (const { pid } of runners) expect([pid, getPriority(pid)]).toEqual([pid, getPriority() + 5]);
    expect(getPriority(server.pid)).toBe(getPriority());
  });

  test('has no environment, and no open file but its sockets and its component', () => {
    for (const { pid } of runners) {
      // Bubblewrap itself sets PWD.
      expect(readFileSync(`/proc/${pid}/environ`, 'utf8').replace('PWD=/\0', '')).toBe('');
      const open = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
      const other = open.filter(
        (target) => !/^(socket:|anon_inode:|\/dev\/null)/.test(target) && !/component( \(deleted\))?$/.test(target),
      );
      expect(other).toEqual([]);
    }
  });

  test('is behind the filters of bubblewrap and of the runner, a worker behind one more', () => {
    for (const { pid, parent } of serving()) {
      const isWorker = runners.some((other) => other.pid === parent);
      expect([pid, readStatusField(pid, 'Seccomp')]).toEqual([pid, '2']);
      expect([pid, readStatusField(pid, 'Seccomp_filters')]).toEqual([pid, isWorker ? '4' : '3']);
    }
  });

  test('has limits that hold whatever its filters do', () => {
    for (const { pid, parent } of serving()) {
      const limits = readLimits(pid);
      for (const name of ['core file size', 'file size', 'locked memory', 'msgqueue size']) {
        expect([pid, name, limits.get(name)]).toEqual([pid, name, ['0', '0']]);
      }
      expect(Number(limits.get('open files')![1])).toBeLessThanOrEqual(1_100);
      expect(limits.get('address space')).toEqual(['unlimited', 'unlimited']);
      if (!runners.some((other) => other.pid === parent)) continue;
      expect(limits.get('processes')).toEqual(['0', '0']);
      expect(Number(limits.get('data size')![1])).toBeLessThan(1024 ** 3);
      expect(limits.get('cpu time')).toEqual(['21', '22']);
    }
  });

  test('is the first to go when memory runs out', () => {
    for (const { pid } of serving()) {
      expect([pid, readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8').trim()]).toEqual([pid, '1000']);
    }
  });

  test('a worker holds one lane, its stderr and no other socket', () => {
    const workers = runners.filter(({ parent }) => runners.some(({ pid }) => pid === parent));
    expect(workers.length).toBeGreaterThanOrEqual(6);
    for (const { pid } of workers) {
      const open = readdirSync(`/proc/${pid}/fd`)
        .filter((fd) => Number(fd) > 2)
        .map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
      // It may hold its lane twice, once for reading and once for writing.
      const sockets = new Set(open.filter((target) => target.startsWith('socket:')));
      expect(sockets.size).toBe(1);
    }
  });
});
