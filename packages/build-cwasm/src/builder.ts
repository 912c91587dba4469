import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../package.json'), 'utf8')) as {
  version: string;
};

/** The version of build-cwasm. */
export const BUILD_CWASM_VERSION: string = version;

/** How a manifest names its builder. */
export const BUILDER = `build-cwasm ${version}`;
