import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import { openEgress } from '../../src/egress/open-egress.ts';
import type { Isolation } from '../../src/policy/isolation.ts';
import { makeTemporaryFolder } from '../../../../test/harness/temporary-folder.ts';

const folder = makeTemporaryFolder('open-egress');
afterAll(folder.remove);
writeFileSync(join(folder.path, 'no-certificate.pem'), 'nothing');
writeFileSync(
  join(folder.path, 'bad-certificate.pem'),
  '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
);

const open = (...flags: string[]): ReturnType<typeof openEgress> =>
  openEgress({
    config: loadConfig(['--no-config', ...flags], {}),
    stateRoot: folder.path,
    virtualHosts: { connect: () => expect.unreachable() },
    log: pino({ level: 'silent' }),
    nowMs: () => 0,
  });

test.each([
  ['--egress-allow', 'ftp://a.example', /egress-allow: "ftp:\/\/a.example" is not a rule/],
  ['--egress-allow', 'public,10.0.0.1/8', /egress-allow: /],
  ['--cap-egress-allow', 'a..b', /cap-egress-allow: "a..b" is not a rule/],
  ['--egress-allow-private', '10.0.0.1/8', /egress-allow-private: "10.0.0.1\/8" is neither/],
  ['--egress-allow-private', 'db.internal', /egress-allow-private: "db.internal" is neither/],
  ['--egress-resolver', 'dns.example', /egress-resolver: /],
  ['--egress-roots', join(folder.path, 'missing.pem'), /egress-roots: .*ENOENT/],
  ['--egress-roots', join(folder.path, 'no-certificate.pem'), /egress-roots: .*it holds no certificate/],
  ['--egress-roots', join(folder.path, 'bad-certificate.pem'), /egress-roots: /],
])('%s %s is refused with what is wrong', (flag, value, message) => {
  expect(() => open(flag, value)).toThrow(message);
});

test('lists may be empty, and separated as one likes', async () => {
  const flags = ['--egress-allow', 'none', '--cap-egress-allow', 'public, https://a.example'];
  const egress = open(...flags, '--egress-allow-private', '10.0.0.1 fd00::/8');
  expect(egress.roots).toBe('');
  await egress.close();
});

test('connections outlive an invocation where a process serves many, but none to another function', async () => {
  const egress = open();
  const limits = loadConfig(['--no-config'], {});
  const outlives = (isolation: Isolation, host: string): boolean =>
    egress.gate('f', { netAllow: undefined, isolation, limits }).outlives(host);
  expect(outlives('instance', 'api.example.com')).toBe(true);
  expect(outlives('instance', '9.9.9.9')).toBe(true);
  expect(outlives('process', 'api.example.com')).toBe(false);
  for (const host of ['hello.playa.internal', 'HELLO.Playa.Internal.']) expect(outlives('instance', host)).toBe(false);
  await egress.close();
});
