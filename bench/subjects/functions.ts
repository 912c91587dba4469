import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleFunction } from '../../packages/build-cwasm/src/javascript/bundle.ts';
import { componentizeBundle } from '../../packages/build-cwasm/src/javascript/componentize.ts';
import { buildFunction, cached, digest } from '../../test/harness/artifacts.ts';
import { PROJECT } from '../../test/harness/project.ts';

/** A function that is measured: the same component for both sides. */
export type MeasuredFunction = { name: 'small' | 'javascript'; component: string; artifact: string };

/** The smallest function there is, and a JavaScript hello; built where they are not in the cache. */
export async function buildMeasuredFunctions(): Promise<MeasuredFunction[]> {
  const small = join(PROJECT.root, 'bench/guests/small.wasm');
  const javascript = await componentizeHello();
  return [
    { name: 'small', component: small, artifact: await buildFunction(small) },
    { name: 'javascript', component: javascript, artifact: await buildFunction(javascript) },
  ];
}

/** The component that build-cwasm makes of examples/hello on its way to the artifact. */
async function componentizeHello(): Promise<string> {
  const source = join(PROJECT.examples, 'hello/hello.ts');
  const key = digest([readFileSync(source), readFileSync(join(PROJECT.root, 'package-lock.json'))]);
  return cached(`hello-${key}.wasm`, async (output) => {
    const folder = mkdtempSync(join(tmpdir(), 'playa-bench-'));
    try {
      copyFileSync(await componentizeBundle(await bundleFunction(source), folder), output);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}
