// The shipped command, as its own process.
import { createHash } from 'node:crypto';
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readTrailer } from '@playa/common/artifact-trailer';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PROJECT, wasmtimeFile } from '../../../test/harness/project.ts';
import { makeTemporaryFolder } from '../../../test/harness/temporary-folder.ts';
import { EXIT_CODES } from '../src/exit-codes.ts';
import { buildCwasm } from './helpers/command.ts';

const SMALL = join(PROJECT.root, 'bench/guests/small.wasm');
const COMMAND = join(PROJECT.prebuilt, 'command-module.wasm');

let folder: { path: string; remove: () => void };
let cwd: string;
beforeEach(() => {
  folder = makeTemporaryFolder('command-line');
  cwd = folder.path;
});
afterEach(() => folder.remove());

function put(name: string, content: string | Uint8Array): string {
  writeFileSync(join(cwd, name), content);
  return name;
}

describe('building', () => {
  test('writes a signed artifact beside the working folder, whose ELF is exactly what wasmtime compiles', async () => {
    copyFileSync(SMALL, join(cwd, 'small.wasm'));
    const ran = await buildCwasm(['small.wasm'], { cwd });
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stdout).toMatch(/small\.cwasm \(\d+ KiB, http-0\.2, baseline\)\n$/);
    expect(readdirSync(cwd).toSorted()).toEqual(['small.cwasm', 'small.wasm']);
    expect(statSync(join(cwd, 'small.cwasm')).mode & 0o777).toBe(0o644);
    const { manifest, elfBytes } = await readTrailer(join(cwd, 'small.cwasm'));
    expect(manifest).toMatchObject({
      name: 'small',
      kind: 'component',
      world: 'http-0.2',
      source: { kind: 'component', sha256: digestOf(readFileSync(SMALL)) },
      engine: { target: `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-unknown-linux-gnu`, cpu: 'baseline' },
    });
    const flags = ['-C', 'cache=n', '-W', 'fuel=1,epoch-interruption=y', '--target', manifest.engine.target];
    execFileSync(wasmtimeFile(), ['compile', ...flags, '-o', 'direct', 'small.wasm'], { cwd });
    expect(readFileSync(join(cwd, 'direct')).equals(readFileSync(join(cwd, 'small.cwasm')).subarray(0, elfBytes))).toBe(
      true,
    );
  });

  test('takes a name, an output, and replaces an artifact that is there', async () => {
    mkdirSync(join(cwd, 'out'));
    put('out/x.cwasm', 'old');
    const ran = await buildCwasm([SMALL, '-o', 'out/x.cwasm', '--name', 'acme/x', '--json'], { cwd });
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(ran.stdout)).toMatchObject({
      ok: true,
      output: join(cwd, 'out/x.cwasm'),
      name: 'acme/x',
      warnings: [],
    });
    expect((await readTrailer(join(cwd, 'out/x.cwasm'))).manifest.name).toBe('acme/x');
  });

  test('keeps a wasip1 command a module, and takes text', async () => {
    expect((await buildCwasm([COMMAND, '-o', 'command.cwasm'], { cwd })).code).toBe(0);
    expect((await readTrailer(join(cwd, 'command.cwasm'))).manifest).toMatchObject({ kind: 'module', world: 'module' });
    const source = join(PROJECT.root, 'bench/guests/small.wat');
    expect((await buildCwasm([source], { cwd })).code).toBe(0);
    const { manifest } = await readTrailer(join(cwd, 'small.cwasm'));
    // The binary that is checked in is that text.
    expect(manifest.source).toEqual({ kind: 'wat', sha256: digestOf(readFileSync(SMALL)) });
  });

  test.runIf(process.arch === 'x64')('compiles for a CPU level, and records it', async () => {
    for (const cpu of ['x86-64-v2', 'x86-64-v3']) {
      expect((await buildCwasm([SMALL, '--cpu', cpu, '-o', 'level.cwasm'], { cwd })).code).toBe(0);
      expect((await readTrailer(join(cwd, 'level.cwasm'))).manifest.engine.cpu).toBe(cpu);
    }
  });

  test('makes its key on first use', async () => {
    const env = { PLAYA_KEYS: '', XDG_CONFIG_HOME: join(cwd, 'config') };
    expect((await buildCwasm([SMALL], { cwd, env })).code).toBe(0);
    expect(readdirSync(join(cwd, 'config/playa/keys')).toSorted()).toEqual(['signing.pem', 'trusted']);
    expect((await buildCwasm(['inspect', 'small.cwasm'], { cwd, env })).code).toBe(0);
  });
});

describe('a source is refused', () => {
  const text = (content: string) => () => put('bad.ts', content);
  test.each<[string, () => string, string, RegExp]>([
    ['that is missing', () => 'missing.ts', 'source_missing', /missing\.ts does not exist/],
    ['that is a folder', () => '.', 'source_is_folder', /is a folder/],
    ['that is empty', text(''), 'source_empty', /is empty/],
    ['of an unknown kind', () => put('a.py', 'print()'), 'source_unknown', /no kind that can be built/],
    ['that is an artifact', () => put('a.cwasm', 'x'), 'source_is_artifact', /an artifact already/],
    ['with a syntax error', text('const a = ;'), 'syntax_error', /Unexpected token/],
    ['with an import that is not there', text('import "./no.ts";'), 'unresolved_import', /"\.\/no\.ts"/],
    ['that is no WebAssembly', () => put('a.wasm', 'no wasm at all'), 'corrupt_wasm', /not WebAssembly/],
    ['that is cut short', () => put('a.wasm', readFileSync(SMALL).subarray(0, 2_000)), 'corrupt_wasm', /damaged/],
    ['whose code is invalid', () => put('a.wasm', brokenCode()), 'invalid_wasm', /refuses the WebAssembly/],
    ['that is a library', () => put('a.wat', '(module (memory (export "memory") 1))'), 'not_a_command', /_start/],
    ['of another world', () => put('a.wat', '(component)'), 'wrong_world', /exports nothing/],
    [
      'with text that is wrong',
      () => put('a.wat', '(module\n  (func oops))'),
      'syntax_error',
      /unknown operator or unexpected token/,
    ],
  ])('%s', async (_, source, code, message) => {
    const path = source();
    const before = readdirSync(cwd);
    const ran = await buildCwasm([path, '-o', 'out.cwasm', '--json'], { cwd });
    const { ok, error } = JSON.parse(ran.stdout) as { ok: boolean; error: { code: string; message: string } };
    expect([ran.code, ran.stderr, ok, error.code]).toEqual([EXIT_CODES.source.code, '', false, code]);
    expect(error.message).toMatch(message);
    expect(readdirSync(cwd)).toEqual(before);
    // The same for people.
    const shown = await buildCwasm([path, '-o', 'out.cwasm'], { cwd });
    expect([shown.code, shown.stdout]).toEqual([EXIT_CODES.source.code, '']);
    expect(shown.stderr).toContain(`error: ${error.message}`);
    expect(shown.stderr).not.toMatch(/^ {4}at .*\.ts/m);
  });

  test('with file, line and an excerpt where that is known', async () => {
    put('bad.ts', 'const fine = 1;\nconst broken = ;\n');
    expect((await buildCwasm(['bad.ts'], { cwd })).stderr).toContain(
      'at bad.ts:2:16\n\n1 | const fine = 1;\n2 | const broken = ;\n  |                ^',
    );
    put('bad.wat', '(module\n  (func oops))');
    expect((await buildCwasm(['bad.wat'], { cwd })).stderr).toContain(
      'at bad.wat:2:9\n\n1 | (module\n2 |   (func oops))\n  |         ^',
    );
  });
});

describe('a command line is refused', () => {
  test.each([
    [[], 'name the source'],
    [['a.ts', 'b.ts'], 'b.ts is too much'],
    [['a.ts', '--unknown'], '--unknown'],
    [['a.ts', '--cpu', 'i486'], '--cpu i486'],
    [['a.ts', '--target', 'wasm32'], '--target wasm32'],
    [['a.ts', '-o'], '-o'],
    [['inspect'], 'name one artifact'],
    [['inspect', 'a', 'b'], 'name one artifact'],
    [['inspect', 'a', '--cpu', 'x'], '--cpu'],
  ])('%j', async (args, message) => {
    const ran = await buildCwasm(args, { cwd });
    expect([ran.code, ran.stdout]).toEqual([EXIT_CODES.usage.code, '']);
    expect(ran.stderr).toContain(message);
  });

  test('help names every option and exit code', async () => {
    const { code, stdout } = await buildCwasm(['--help'], { cwd });
    expect(code).toBe(0);
    for (const option of ['--output', '--name', '--cpu', '--target', '--keys', '--wasmtime', '--json'])
      expect(stdout).toContain(option);
    for (const { code: exit, meaning } of Object.values(EXIT_CODES))
      expect(stdout).toMatch(new RegExp(`\\n +${exit}  ${meaning}\\n`));
  });
});

test('the documentation has the same table of exit codes', () => {
  const page = readFileSync(join(PROJECT.root, 'docs/writing-a-function.md'), 'utf8');
  const rows = [...page.matchAll(/^\| (\d+) \| (.+) \|$/gm)].map(([, code, meaning]) => ({
    code: Number(code),
    meaning,
  }));
  expect(rows).toEqual(Object.values(EXIT_CODES));
});

describe('an output is refused', () => {
  test.each<[string, () => string, string]>([
    ['that is a folder', () => (mkdirSync(join(cwd, 'out.cwasm')), 'out.cwasm'), 'output_is_folder'],
    ['in a folder that is not there', () => 'no/out.cwasm', 'output_unwritable'],
    ['below a file', () => join(put('file', 'x'), 'out.cwasm'), 'output_unwritable'],
    ['that cannot be written', () => '/proc/out.cwasm', 'output_unwritable'],
  ])('%s', async (_, output, code) => {
    const ran = await buildCwasm([SMALL, '-o', output(), '--json'], { cwd });
    expect([ran.code, JSON.parse(ran.stdout).error.code]).toEqual([EXIT_CODES.output.code, code]);
  });

  test('when there is no room for temporary files', async () => {
    const ran = await buildCwasm([SMALL, '--json'], { cwd, env: { TMPDIR: join(cwd, 'nowhere') } });
    expect([ran.code, JSON.parse(ran.stdout).error.code]).toEqual([EXIT_CODES.output.code, 'temporary_folder']);
    expect(readdirSync(cwd)).toEqual([]);
  });

  // A disk of 16 KiB in a mount namespace of its own; the artifact takes more.
  const inNamespace = (script: string) =>
    spawnSync('unshare', ['-rm', 'sh', '-c', script], { cwd, encoding: 'utf8', env: process.env });
  const mountable = inNamespace('mkdir -p disk && mount -t tmpfs -o size=16k none disk').status === 0;

  test.skipIf(!mountable)('on a full disk, of which nothing is left behind', () => {
    mkdirSync(join(cwd, 'disk'));
    const keys = join(PROJECT.cache, 'keys');
    const command = `${PROJECT.buildCwasm} ${SMALL} -o disk/x.cwasm --json --keys ${keys} --wasmtime ${wasmtimeFile()}`;
    const ran = inNamespace(
      `mount -t tmpfs -o size=16k none disk && { ${command}; echo "code $?"; ls -A disk | wc -l; }`,
    );
    const [json, code, files] = ran.stdout.trim().split('\n');
    expect(JSON.parse(json!).error.code).toBe('disk_full');
    expect([code, Number(files)]).toEqual([`code ${EXIT_CODES.output.code}`, 0]);
  });
});

describe('a toolchain is refused', () => {
  test('of another version, by name and before anything is built', async () => {
    put('wasmtime', '#!/bin/sh\n[ "$1" = --version ] || touch compiled\necho wasmtime 47.0.1\n');
    execFileSync('chmod', ['+x', 'wasmtime'], { cwd });
    const ran = await buildCwasm([SMALL, '--wasmtime', './wasmtime', '--json'], { cwd });
    expect(ran.code).toBe(EXIT_CODES.toolchain.code);
    expect(JSON.parse(ran.stdout).error.message).toContain(`${join(cwd, 'wasmtime')} is wasmtime 47.0.1`);
    expect(existsSync(join(cwd, 'compiled'))).toBe(false);
  });

  test('that does not know the target', async () => {
    const foreign = process.arch === 'arm64' ? 'x86_64-unknown-linux-gnu' : 'aarch64-unknown-linux-gnu';
    const ran = await buildCwasm([SMALL, '--target', foreign, '-o', 'foreign.cwasm', '--json'], { cwd });
    // One with every architecture is as good.
    if (ran.code === 0)
      return expect((await readTrailer(join(cwd, 'foreign.cwasm'))).manifest.engine.target).toBe(foreign);
    expect([ran.code, JSON.parse(ran.stdout).error.code]).toEqual([EXIT_CODES.toolchain.code, 'target_unsupported']);
    expect(readdirSync(cwd)).toEqual([]);
  });

  test('that cannot sign', async () => {
    mkdirSync(join(cwd, 'keys'));
    put('keys/signing.pem', 'no key');
    execFileSync('chmod', ['600', 'keys/signing.pem'], { cwd });
    const ran = await buildCwasm([SMALL, '--keys', 'keys', '--json'], { cwd });
    expect([ran.code, JSON.parse(ran.stdout).error.code]).toEqual([EXIT_CODES.keys.code, 'key_store']);
    expect(readdirSync(cwd)).toEqual(['keys']);
  });
});

describe('inspect', () => {
  async function built(): Promise<string> {
    expect((await buildCwasm([SMALL, '-o', 'x.cwasm'], { cwd })).code).toBe(0);
    return join(cwd, 'x.cwasm');
  }

  test('prints the manifest and that the signature holds', async () => {
    const path = await built();
    const shown = await buildCwasm(['inspect', path], { cwd });
    expect(shown.code).toBe(0);
    expect(shown.stdout).toContain('"world": "http-0.2"');
    expect(shown.stdout).toContain('signature and code hold; signed by the trusted key "own"');
    const { stdout } = await buildCwasm(['inspect', path, '--json'], { cwd });
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, signedBy: 'own', refusal: null, manifest: { name: 'small' } });
  });

  test('says why an artifact would be refused, with exit code 6', async () => {
    const path = await built();
    const whole = readFileSync(path);
    const changedCode = Buffer.from(whole);
    changedCode[5_000]! ^= 1;
    const changedManifest = Buffer.from(whole);
    changedManifest[whole.indexOf('"small"') + 1]! ^= 1;
    for (const [bytes, env, reason] of [
      [changedCode, {}, 'not the one that was signed'],
      [changedManifest, {}, 'signature does not hold'],
      [whole, { PLAYA_KEYS: join(cwd, 'other') }, 'not trusted here'],
    ] as const) {
      writeFileSync(path, bytes);
      const ran = await buildCwasm(['inspect', path], { cwd, env });
      expect(ran.code).toBe(EXIT_CODES.refused.code);
      expect(ran.stdout).toContain(reason);
      const json = await buildCwasm(['inspect', path, '--json'], { cwd, env });
      expect([json.code, JSON.parse(json.stdout).ok]).toEqual([EXIT_CODES.refused.code, false]);
    }
  });

  test.each([
    ['nothing there', 'gone.cwasm'],
    ['a module', SMALL],
    ['a folder', '.'],
  ])('refuses %s', async (_, path) => {
    const ran = await buildCwasm(['inspect', path, '--json'], { cwd });
    expect([ran.code, JSON.parse(ran.stdout).ok]).toEqual([EXIT_CODES.refused.code, false]);
  });
});

test('an interrupted build ends with 130, and leaves neither file nor process', async () => {
  mkdirSync(join(cwd, 'tmp'));
  put('endless.ts', 'for (;;);\nexport default { fetch: () => new Response() };');
  let killed = false;
  const ran = await buildCwasm(['endless.ts'], {
    cwd,
    env: { TMPDIR: join(cwd, 'tmp') },
    onStderr: (stderr, kill) => {
      if (killed || !stderr.includes('making the component')) return;
      killed = true;
      kill('SIGTERM');
    },
  });
  expect(ran.code).toBe(EXIT_CODES.interrupted.code);
  expect(ran.stderr).toContain('interrupted by SIGTERM');
  expect(readdirSync(cwd).toSorted()).toEqual(['endless.ts', 'tmp']);
  expect(readdirSync(join(cwd, 'tmp'))).toEqual([]);
  const commands = spawnSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).stdout;
  expect(commands).not.toContain(cwd);
}, 120_000);

/** A module that can be read, but whose code is invalid: its only instruction is unknown. */
function brokenCode(): Buffer {
  const sections = [
    '01 04 01 60 00 00',
    '03 02 01 00',
    '05 03 01 00 01',
    `07 13 02 06 ${hex('_start')} 00 00 06 ${hex('memory')} 02 00`,
    '0a 05 01 03 00 fe 0b',
  ];
  return Buffer.from(`0061736d01000000${sections.join('')}`.replaceAll(' ', ''), 'hex');
}

function hex(text: string): string {
  return Buffer.from(text).toString('hex');
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
