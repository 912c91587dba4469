import { dirname, join } from 'node:path';
import type { RolldownLog, RolldownPluginOption } from 'rolldown';
import { rolldown } from 'rolldown';
import { bundleFailure } from './bundle-failure.ts';
import { createNodeLayer } from './node-layer.ts';
import { placeStatement } from './place-table.ts';
import { rewriteRegularExpressions } from './regular-expressions.ts';

/** A function's modules in one, with everything that the engine needs around them. */
export type Bundle = {
  readonly code: string;
  /** Source map, version 3, as JSON text. */
  readonly sourceMap: string;
  /** Absolute folder to which the source map's sources are relative. */
  readonly baseFolder: string;
  readonly warnings: readonly string[];
};

/** Name of the bundle inside the component, as stacks show it. */
export const BUNDLE_NAME = 'function.js';

const NO_MAP = '{"version":3,"sources":[],"names":[],"mappings":""}';
const ENTRY = '\0playa:entry';
const GUEST = join(import.meta.dirname, 'guest');

/** Where the function's environment variables come from; the one import that stays in the bundle. */
const ENVIRONMENT_MODULE = 'wasi:cli/environment@0.2.10';

/**
 * Bundles a function's module and all that it imports.
 *
 * @param file absolute path of the `.ts`, `.js`, `.tsx`, `.jsx`, `.mts` or `.mjs`
 * @throws BuildError `syntax_error`, `unresolved_import`, `bundle_failed`
 */
export async function bundleFunction(file: string): Promise<Bundle> {
  const baseFolder = dirname(file);
  const { alias, inject } = createNodeLayer();
  const warnings: string[] = [];
  const failures: RolldownLog[] = [];
  try {
    const build = await rolldown({
      input: ENTRY,
      cwd: baseFolder,
      platform: 'neutral',
      external: [ENVIRONMENT_MODULE],
      resolve: {
        alias: { ...alias },
        // Packages offer builds for other servers by these names; "browser" ones may want a DOM, so they come last.
        conditionNames: ['worker', 'edge-light', 'module', 'import', 'browser', 'default'],
        mainFields: ['browser', 'module', 'main'],
        extensionAlias: { '.js': ['.ts', '.tsx', '.js'], '.mjs': ['.mts', '.mjs'], '.jsx': ['.tsx', '.jsx'] },
      },
      moduleTypes: { '.txt': 'text', '.html': 'text', '.css': 'text', '.sql': 'text', '.md': 'text', '.bin': 'binary' },
      transform: {
        target: 'es2024',
        inject,
        define: { 'process.env.NODE_ENV': '"production"' },
      },
      // Module paths in comments would carry the builder's folders into the component.
      experimental: { attachDebugInfo: 'none' },
      plugins: [entryPlugin(file), regularExpressionPlugin()],
      onLog(level, log) {
        if (log.code === 'UNRESOLVED_IMPORT') failures.push(log);
        else if (level === 'warn' && !isNoise(log)) warnings.push(log.message);
      },
    });
    try {
      const { output } = await build.generate({
        format: 'esm',
        file: join(baseFolder, BUNDLE_NAME),
        sourcemap: true,
        codeSplitting: false,
        minify: false,
      });
      if (failures.length > 0) throw bundleFailure(failures, file);
      const { code, map } = output[0];
      const sourceMap = map?.toString() ?? NO_MAP;
      return { code: `${code}\n${placeStatement(sourceMap)}`, sourceMap, baseFolder, warnings };
    } finally {
      await build.close();
    }
  } catch (error) {
    throw bundleFailure(error, file);
  }
}

function entryPlugin(file: string): RolldownPluginOption {
  const source = [
    `import { environment } from ${JSON.stringify(join(GUEST, 'prelude.ts'))};`,
    `import * as source from ${JSON.stringify(file)};`,
    `import { serve } from ${JSON.stringify(join(GUEST, 'serve.ts'))};`,
    'serve(source, environment);',
  ].join('\n');
  return {
    name: 'playa:entry',
    resolveId: (id) => (id === ENTRY ? ENTRY : undefined),
    load: (id) => (id === ENTRY ? source : undefined),
  };
}

function regularExpressionPlugin(): RolldownPluginOption {
  return {
    name: 'playa:regular-expressions',
    renderChunk(code) {
      const rewritten = rewriteRegularExpressions(code);
      // Lines stay where they were, which is all that the map is used for.
      return rewritten === undefined ? null : { code: rewritten, map: null };
    },
  };
}

/** Warnings about other people's packages that nobody who builds a function can act on. */
function isNoise(log: RolldownLog): boolean {
  return log.id?.includes('/node_modules/') === true || log.code === 'CIRCULAR_DEPENDENCY' || log.code === 'EVAL';
}
