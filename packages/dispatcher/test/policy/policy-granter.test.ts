import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ArtifactManifest } from '@playa/common/artifact-manifest';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { createPolicyGranter } from '../../src/policy/policy-granter.ts';
import { NO_SECRETS, openSecretStore } from '../../src/policy/secret-store.ts';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'playa-policy-'))));
afterEach(() => rmSync(folder, { recursive: true }));

function grant(
  file: string | undefined,
  { trailer, flags = [], secrets }: { trailer?: object; flags?: string[]; secrets?: string } = {},
): Policy {
  const config = loadConfig(['--no-config', ...flags], {});
  const secretsFile = join(folder, 'secrets.toml');
  if (secrets !== undefined) writeFileSync(secretsFile, secrets);
  const store = secrets === undefined ? NO_SECRETS : openSecretStore(secretsFile);
  const manifest = { policy: trailer } as unknown as ArtifactManifest;
  return createPolicyGranter(config, store)('acme/resize', manifest, file);
}

describe('createPolicyGranter', () => {
  test('without a policy the defaults of the server hold', () => {
    const policy = grant(undefined, { flags: ['--wall-ms', '7s'] });
    expect(policy).toMatchObject({ isolation: 'process', env: [], netAllow: undefined });
    expect(policy.limits).toMatchObject({ wallMs: 7000, memoryBytes: 128 * 1024 * 1024 });
  });

  test('the file beside the artifact wins over the trailer, that over the defaults', () => {
    const trailer = { limits: { 'wall-ms': 2000 }, env: { A: 'trailer' } };
    expect(grant(undefined, { trailer })).toMatchObject({ limits: { wallMs: 2000 }, env: [['A', 'trailer']] });
    expect(grant('[limits]\nfuel = 1_000\n[env]\nA = "file"', { trailer })).toMatchObject({
      limits: { wallMs: 30_000, fuel: 1000 },
      env: [['A', 'file']],
    });
  });

  test('all of a policy is granted', () => {
    const text = `isolation = "instance"
secrets = ["TOKEN"]
[limits]
wall-ms = "5s"
memory-bytes = "64m"
concurrency = 3
[env]
GREETING = "hello"
[net]
allow = ["https://api.example.com"]`;
    const secrets = '[TOKEN]\nvalue = "s3cret"\nfunctions = ["acme/*"]';
    expect(grant(text, { secrets })).toMatchObject({
      isolation: 'instance',
      limits: { wallMs: 5000, memoryBytes: 64 * 1024 * 1024, concurrency: 3 },
      env: [
        ['GREETING', 'hello'],
        ['TOKEN', 's3cret'],
      ],
      netAllow: ['https://api.example.com'],
    });
  });

  test.each([
    ['colour = "red"', 'unknown key "colour"'],
    ['[limits]\nwall = 1', 'unknown key limits.wall'],
    ['[net]\ndeny = []', 'unknown key net."deny"'],
    ['[limits]\nwall-ms = "soon"', 'limits.wall-ms: "soon" is not a time'],
    ['[limits]\nwall-ms = "10m"', 'limits.wall-ms asks for 600000; the server allows at most 300000'],
    ['[limits]\nfuel = 0', 'outside of 1 …'],
    ['limits = 5', 'limits is not a table'],
    ['isolation = "none"', 'isolation is not one of'],
    ['[env]\n"A B" = "x"', 'is not the name of a variable'],
    ['[env]\nA = 5', 'env.A is not a text'],
    [`[env]\nA = "${'x'.repeat(33_000)}"`, 'env holds more than'],
    ['secrets = "A"', 'secrets is not a list'],
    ['secrets = ["A-B"]', 'is not the name of a secret'],
    ['secrets = ["A"]', 'no secret A for this function'],
    ['[net]\nallow = ["https://a", 5]', 'net.allow is not a list'],
    ['[net]\nallow = ["gopher://a b"]', 'net.allow: '],
    ['this is no TOML', 'it is not TOML'],
    [`a = "${'x'.repeat(70_000)}"`, 'longer than 65536 bytes'],
  ])('%s is refused', (text, message) => {
    expect(() => grant(text.slice(0, 70_100))).toThrow(
      expect.objectContaining({
        code: 'artifact_refused',
        reason: 'policy',
        message: expect.stringContaining(message) as unknown,
      }),
    );
  });

  test('an isolation weaker than the operator allows is refused, a stronger one is not', () => {
    const flags = ['--cap-isolation', 'process'];
    expect(grant('isolation = "sandbox"', { flags }).isolation).toBe('sandbox');
    expect(() => grant('isolation = "instance"', { flags })).toThrow('the weakest that the server allows is process');
  });

  test('a secret of others is refused in the same words as one that is not there', () => {
    const refusal = (secrets: string): string => {
      try {
        grant('secrets = ["TOKEN"]', { secrets });
      } catch (error) {
        return (error as Error).message;
      }
      return '';
    };
    const others = refusal('[TOKEN]\nvalue = "s3cret"\nfunctions = ["acme", "acme/resize/*", "acme-2/*"]');
    expect(others).toContain('no secret TOKEN');
    expect(others).toBe(refusal('[OTHER]\nvalue = "s3cret"\nfunctions = ["*"]'));
  });
});

describe('openSecretStore', () => {
  const open = (text: string): ReturnType<typeof openSecretStore> => {
    const file = join(folder, 'secrets.toml');
    writeFileSync(file, text);
    return openSecretStore(file);
  };

  test('a value may be in a file of its own, whose last line break does not count', () => {
    writeFileSync(join(folder, 'value'), 'from a file\n');
    const store = open(`[A]\nfile = "${join(folder, 'value')}"\nfunctions = ["f"]`);
    expect(store.find('A', 'f')).toBe('from a file');
  });

  test.each([
    ['[A]\nvalue = "hush"\nfunctions = ["f"]\ncolour = "hush"', 'unknown key colour of A'],
    ['[A]\nvalue = "hush"', 'functions of A'],
    ['[A]\nvalue = "hush"\nfile = "hush"\nfunctions = ["f"]', 'needs either value or file'],
    ['[A]\nfile = "/nowhere/hush"\nfunctions = ["f"]', 'cannot be read: ENOENT'],
    ['A = "hush"', 'is not a table'],
    ['["A B"]\nvalue = "hush"\nfunctions = ["f"]', 'is not the name of an environment variable'],
    ['[A]\nvalue = "hush', 'it is not TOML'],
  ])('a wrong file stops the start without showing a value', (text, message) => {
    expect(() => open(text)).toThrow(message);
    expect(() => open(text)).not.toThrow('hush');
  });
});
