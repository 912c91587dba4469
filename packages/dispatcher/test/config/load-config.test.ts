import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'playa-config-'))));
afterEach(() => rmSync(folder, { recursive: true }));

function file(text: string): string {
  const path = join(folder, 'playa.toml');
  writeFileSync(path, text);
  return path;
}

describe('loadConfig', () => {
  test('a flag wins over the environment, that over the file, that over the default', () => {
    const path = file('queue-length = 1\nqueue-wait-ms = 1\nlanes-per-runner = 3\n');
    const env = { PLAYA_QUEUE_LENGTH: '2', PLAYA_QUEUE_WAIT_MS: '2' };
    const config = loadConfig(['--config', path, '--queue-length', '4'], env);
    expect(config).toMatchObject({ queueLength: 4, queueWaitMs: 2, lanesPerRunner: 3, poolSize: 4 });
  });

  test('sizes and times have units, values may stand behind an equals sign', () => {
    const config = loadConfig(['--no-config', '--memory-bytes=64m', '--wall-ms', '5s', '--drain-ms=250'], {});
    expect(config).toMatchObject({ memoryBytes: 64 * 1024 * 1024, wallMs: 5000, drainMs: 250 });
  });

  test.each([
    [['--no-such-flag', '1'], /unknown argument --no-such-flag/],
    [['extra'], /unknown argument extra/],
    [['--queue-length'], /--queue-length needs a value/],
    [['--queue-length', '-1'], /--queue-length: "-1" is not a whole number/],
    [['--queue-length', '1e3'], /is not a whole number/],
    [['--queue-length', '1', '--queue-length', '2'], /given twice/],
    [['--fuel', '0'], /outside of 1 …/],
    [['--isolation', 'none'], /not one of sandbox, process, instance/],
    [['--listen', '8080'], /not HOST:PORT/],
    [['--listen', '127.0.0.1:70000'], /not HOST:PORT/],
    [['--memory-bytes', '1x'], /not a number of bytes/],
    [['--bucket', ''], /not a text/],
    [['--config', '/nonexistent/playa.toml'], /cannot be read/],
  ])('%j is refused', (args, message) => {
    expect(() =>
      loadConfig(
        ['--no-config', ...args].filter((a) => a !== '--no-config' || args[0] !== '--config'),
        {},
      ),
    ).toThrow(message);
  });

  test("an unknown variable with the prefix is refused, others are nobody's business", () => {
    expect(() => loadConfig(['--no-config'], { PLAYA_TYPO: '1' })).toThrow(/unknown environment variable PLAYA_TYPO/);
    expect(() => loadConfig(['--no-config'], { OTHER: '1', PLAYA_WASMTIME: '/bin/wasmtime' })).not.toThrow();
  });

  test("a variable's value is checked and named", () => {
    expect(() => loadConfig(['--no-config'], { PLAYA_WALL_MS: 'soon' })).toThrow(
      /^PLAYA_WALL_MS: "soon" is not a time/,
    );
  });

  test.each([
    ['no-such-key = 1', /unknown key no-such-key/],
    ['queue-length = -5', /queue-length in .*: -5 is not a whole number/],
    ['queue-length = 1.5', /is not a whole number/],
    ['queue-length = true', /is not a whole number/],
    ['bucket = 1', /is not a text/],
    ['queue-length = ', /is not TOML/],
  ])('the file %j is refused', (text, message) => {
    expect(() => loadConfig(['--config', file(text)], {})).toThrow(message);
  });
});
