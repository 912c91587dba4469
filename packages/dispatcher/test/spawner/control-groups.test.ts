import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { describeControlGroupHost, openControlGroups } from '../../src/spawner/control-groups.ts';

/** Ordinary files in place of the kernel's: what is written can be read. */
let mount: string;
beforeEach(() => (mount = mkdtempSync(join(tmpdir(), 'playa-groups-'))));
afterEach(() => rmSync(mount, { recursive: true }));

function makeGroup(controllers: string, members: number[]): void {
  const group = join(mount, 'service');
  mkdirSync(group);
  writeFileSync(join(group, 'cgroup.controllers'), `${controllers}\n`);
  writeFileSync(join(group, 'cgroup.procs'), members.map((pid) => `${pid}\n`).join(''));
}

const open = (serverPids: number[]) => openControlGroups({ mount, group: '/service', serverPids });

describe('openControlGroups', () => {
  test('puts the server aside, hands the controllers on, and makes a group for each sandbox', () => {
    makeGroup('cpuset cpu io memory pids', [7, 8]);
    const groups = open([7, 8]);
    expect(groups.state).toEqual({ available: true, detail: `memory, pids, cpu in ${join(mount, 'service')}` });
    const read = (file: string): string => readFileSync(join(mount, 'service', file), 'utf8');
    expect(read('cgroup.subtree_control')).toBe('+memory +pids +cpu');
    expect(read('playa-server/cgroup.procs')).toBe('8');
    groups.enter(3, 99, 24);
    expect(read('playa-sandbox-3/cgroup.procs')).toBe('99');
    expect(read('playa-sandbox-3/pids.max')).toBe('24');
    expect(read('playa-sandbox-3/memory.oom.group')).toBe('1');
    expect(Number(read('playa-sandbox-3/memory.max'))).toBeGreaterThan(0);
    writeFileSync(join(mount, 'service/playa-sandbox-3/cgroup.kill'), '');
    groups.kill(3);
    expect(read('playa-sandbox-3/cgroup.kill')).toBe('1');
  });

  test.each([
    ['cpuset io', [7], /memory, pids, cpu are not delegated/],
    ['cpu memory', [7], /pids are not delegated/],
    ['cpu memory pids', [7, 1234], /other processes share/],
  ])('leaves a host alone that has %j and the members %j', (controllers, members, reason) => {
    makeGroup(controllers, members);
    const groups = open([7]);
    expect(groups.state.available).toBe(false);
    expect(groups.state.detail).toMatch(reason);
    groups.enter(3, 99, 24);
    groups.kill(3);
    groups.remove(3);
    expect(readdirSync(join(mount, 'service')).toSorted()).toEqual(['cgroup.controllers', 'cgroup.procs']);
  });

  test('says that there is no hierarchy where there is none', () => {
    const groups = openControlGroups({ mount: undefined, group: '/', serverPids: [] });
    expect(groups.state).toEqual({ available: false, detail: 'control groups of version 2 are not mounted' });
  });

  test('finds its way on this host', () => {
    const host = describeControlGroupHost();
    expect(host.group).toMatch(/^\//);
    expect(host.serverPids).toContain(process.pid);
  });
});
