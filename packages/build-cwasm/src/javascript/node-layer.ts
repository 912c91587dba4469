import { defineEnv } from 'unenv';

/** What stands in for Node's modules and globals in a bundle. */
export type NodeLayer = {
  /** Module name to file, for `node:path` as for `path`. */
  readonly alias: Readonly<Record<string, string>>;
  /** Global name to the file (and its export) that provides it; only globals that a module mentions are brought in. */
  readonly inject: Record<string, string | [string, string]>;
};

/** Node's modules and globals as far as unenv has them in plain JavaScript. */
export function createNodeLayer(): NodeLayer {
  const { env } = defineEnv({ nodeCompat: true, npmShims: true, resolve: true });
  const inject: NodeLayer['inject'] = {};
  for (const [name, provided] of Object.entries(env.inject)) {
    // The prelude has its own, which do not bring unenv's whole timers module along.
    if (name === 'setImmediate' || name === 'clearImmediate') continue;
    inject[name] = typeof provided === 'string' ? provided : [provided[0]!, provided[1]!];
  }
  return { alias: env.alias as Record<string, string>, inject };
}
