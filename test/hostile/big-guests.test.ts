import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { buildFunction, buildGuest } from '../harness/artifacts.ts';
import { problemOf } from '../harness/http-client.ts';
import { makeTemporaryFolder } from '../harness/temporary-folder.ts';
import { makeBucket } from '../harness/test-bucket.ts';
import { startServer } from '../harness/test-server.ts';

const FUNCTIONS = 100_000;
const EXPORTS = 10_000;

/** A wasip1 program that does nothing, with very many functions. */
function bigModule(): string {
  const functions = Array.from({ length: FUNCTIONS }, (_, n) => `(func $f${n} (result i32) i32.const ${n})`);
  const exports = Array.from({ length: EXPORTS }, (_, n) => `(export "e${n}" (func $f${n}))`);
  return `(module (memory (export "memory") 1) (func (export "_start"))\n${[...functions, ...exports].join('\n')})`;
}

test('a module of 100,000 functions and 10,000 exports, and one that wants 2 GB at once, disturb nobody', async () => {
  const folder = makeTemporaryFolder('big');
  const write = (name: string, text: string): string => {
    const file = join(folder.path, `${name}.wat`);
    writeFileSync(file, text);
    return file;
  };
  const bucket = makeBucket({
    probe: await buildGuest('probe'),
    big: await buildFunction(write('big', bigModule())),
    greedy: await buildFunction(write('greedy', '(module (memory (export "memory") 32768) (func (export "_start")))')),
  });
  folder.remove();
  const server = await startServer(bucket.path);
  for (let call = 0; call < 3; call++) {
    const answers = await Promise.all(['big', 'greedy', 'probe'].map((name) => server.invoke(name)));
    expect(problemOf(answers[0]!)).toMatchObject({ status: 502, code: 'no_response' });
    expect(problemOf(answers[1]!)).toMatchObject({ status: 507, code: 'memory_exceeded' });
    expect(answers[2]!.text).toBe('probe\n');
  }
  await server.stop();
  bucket.remove();
});
