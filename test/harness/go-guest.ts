import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { buildFunction, cached, digest } from './artifacts.ts';
import { PROJECT } from './project.ts';

const run = promisify(execFile);
const SOURCE = join(PROJECT.guests, 'go-cgi');
/** Where Go's own archives are unpacked by its instructions. */
const USUAL_FOLDER = '/usr/local/go/bin';

/** The `go` command; undefined where there is none. */
export function findGo(): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter).filter(Boolean), USUAL_FOLDER];
  return folders.map((folder) => join(folder, 'go')).find((file) => existsSync(file));
}

/** Builds the guest in Go for wasip1 and makes an artifact of it. */
export async function buildGoGuest(go: string): Promise<string> {
  const sources = ['go.mod', 'main.go'].map((name) => readFileSync(join(SOURCE, name)));
  const { stdout: version } = await run(go, ['version']);
  const module = await cached(`go-${digest([version, ...sources])}.wasm`, async (temporary) => {
    await run(go, ['build', '-trimpath', '-ldflags=-s -w', '-o', temporary, '.'], {
      cwd: SOURCE,
      env: { ...process.env, GOOS: 'wasip1', GOARCH: 'wasm', GOFLAGS: '-buildvcs=false', GOTOOLCHAIN: 'local' },
    });
  });
  return buildFunction(module);
}
