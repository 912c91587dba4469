import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeTemporaryFolder } from '../../../../test/harness/temporary-folder.ts';
import { bundleFunction } from '../../src/javascript/bundle.ts';
import { originalPlace } from '../../src/javascript/source-map.ts';
import { thrownBy } from '../helpers/thrown.ts';

let folder: { path: string; remove: () => void };
beforeEach(() => {
  folder = makeTemporaryFolder('bundle');
});
afterEach(() => folder.remove());

/** Writes files, and returns the path of the first. */
function write(files: Record<string, string>): string {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder.path, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
  return join(folder.path, Object.keys(files)[0]!);
}

const HANDLER = 'export default { fetch: () => new Response("x") };';

describe('a bundle', () => {
  test('holds all modules, their types stripped, and leaves only the environment to the host', async () => {
    const file = write({
      'main.ts': `import { b } from './lib/b.js'; import data from './data.json'; import text from './page.html';
        const later = await import('./later.ts');
        export default { fetch: (request: Request): Response => new Response([b, data.key, text, later.c].join()) };`,
      'lib/b.ts': 'export const b: string = "from-b";',
      'later.ts': 'export const c = "from-c" as const;',
      'data.json': '{"key": "from-json"}',
      'page.html': '<p>from-html</p>',
    });
    const { code, warnings } = await bundleFunction(file);
    for (const part of ['from-b', 'from-c', 'from-json', 'from-html']) expect(code).toContain(part);
    expect([...code.matchAll(/from "([^"]+)"/g)].map((match) => match[1])).toEqual(['wasi:cli/environment@0.2.10']);
    expect(code).not.toContain('import(');
    expect(warnings).toEqual([]);
  });

  test('carries no folder of the machine that built it', async () => {
    const { code } = await bundleFunction(
      write({ 'main.ts': `import { join } from 'node:path'; ${HANDLER}; console.log(join)` }),
    );
    expect(code).not.toContain(folder.path);
    expect(code).not.toContain(join(import.meta.dirname, '../../../..'));
    expect(code).not.toContain('node_modules');
  });

  test("has Node's globals only where a module mentions them", async () => {
    const without = await bundleFunction(write({ 'main.ts': HANDLER }));
    expect(without.code).not.toContain('unenv');
    const using = await bundleFunction(
      write({ 'other.ts': `${HANDLER} console.log(process.cwd(), Buffer.from('a'));` }),
    );
    expect(using.code).toContain('[unenv]');
    expect(using.code.length).toBeGreaterThan(without.code.length + 20_000);
  });

  test('takes the build of a package that is meant for servers without Node', async () => {
    const file = write({
      'main.ts': `import name from 'acme'; console.log(name); ${HANDLER}`,
      'node_modules/acme/package.json': JSON.stringify({
        name: 'acme',
        exports: { node: './node.js', worker: './worker.js', default: './default.js' },
      }),
      'node_modules/acme/node.js': 'export default "for-node";',
      'node_modules/acme/worker.js': 'export default "for-workers";',
      'node_modules/acme/default.js': 'export default "for-all";',
    });
    expect((await bundleFunction(file)).code).toContain('for-workers');
  });

  test('takes CommonJS packages and JSX', async () => {
    const file = write({
      'main.tsx': `/** @jsxRuntime classic @jsx make */ import old from 'old'; function make(tag: string) { return old(tag); }
        export default { fetch: () => new Response(<b />) };`,
      'node_modules/old/package.json': '{"name": "old", "main": "index.js"}',
      'node_modules/old/index.js': 'module.exports = (tag) => "old-" + tag;',
    });
    expect((await bundleFunction(file)).code).toContain('"old-"');
  });

  test('maps its lines to the sources', async () => {
    const bundle = await bundleFunction(
      write({ 'main.ts': `type A = { a: number };\n\nexport default {\n  fetch: () => new Response('needle'),\n};\n` }),
    );
    const lines = bundle.code.split('\n');
    const line = lines.findIndex((text) => text.includes('needle')) + 1;
    const place = originalPlace(bundle, line, lines[line - 1]!.indexOf('new Response') + 1);
    expect(place).toMatchObject({ file: join(folder.path, 'main.ts'), line: 4 });
  });
});

describe('a source that cannot be bundled', () => {
  test('names file, line and column of a syntax error, with an excerpt', async () => {
    const file = write({
      'main.ts': 'import "./broken.ts";',
      'broken.ts': '// é\nconst a: number = 1;\nconst b = (1 +;\n',
    });
    const error = await thrownBy(() => bundleFunction(file));
    expect(error).toMatchObject({ exit: 'source', code: 'syntax_error', location: { line: 3, column: 15 } });
    expect(error.location?.file).toMatch(/broken\.ts$/);
    expect(error.location?.excerpt).toBe(
      '1 | // é\n2 | const a: number = 1;\n3 | const b = (1 +;\n  |               ^\n4 | ',
    );
  });

  test.each([
    ['./nothing.ts', /Check the path/],
    ['nothing/part', /npm install nothing$/],
    ['@acme/nothing/part', /npm install @acme\/nothing$/],
    ['wasi:http/types@0.2.10', /cannot be imported/],
  ])('names the import %s that is not there', async (name, cure) => {
    const error = await thrownBy(() =>
      bundleFunction(write({ 'main.ts': `\nimport x from '${name}';\nconsole.log(x);` })),
    );
    expect(error).toMatchObject({ exit: 'source', code: 'unresolved_import', location: { line: 2 } });
    expect(error.message).toContain(name);
    expect(error.hint).toMatch(cure);
  });

  test('names a missing export', async () => {
    const file = write({
      'main.ts': `import { gone } from './a.ts'; console.log(gone);`,
      'a.ts': 'export const here = 1;',
    });
    const error = await thrownBy(() => bundleFunction(file));
    expect(error).toMatchObject({ exit: 'source', code: 'bundle_failed' });
    expect(error.message).toContain('gone');
  });
});
