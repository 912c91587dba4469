/** Run by disk-store.test.ts on a small file system: fills it or makes it read-only, and says what the store makes of it. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { loadTrust, verifyTrailer } from '@playa/common/trust';
import type { AcceptTrailer } from '../../src/artifacts/verify-file.ts';
import { openDiskStore } from '../../src/artifacts/disk-store.ts';

const [folder = '', state = '', mode] = process.argv.slice(2);
const store = await openDiskStore({ directory: state, maxBytes: 1e9, maxArtifactBytes: 1e9, nowMs: Date.now });

const accept: AcceptTrailer = async (trailer) =>
  verifyTrailer(trailer, await loadTrust(join(folder, 'keys')), Date.now());

async function admit(what: string, file: string): Promise<string> {
  const content = readFileSync(join(folder, file));
  const object = {
    bytes: content.length,
    body: Readable.from([content]),
    readTail: (bytes: number) => Promise.resolve(content.subarray(content.length - bytes)),
  };
  try {
    const stored = await store.admit(object, accept);
    console.log(`${what}: kept`);
    return stored.blob;
  } catch (error) {
    console.log(`${what}: ${(error as Error).name} ${(error as Error).message}`);
    return '';
  }
}

const blob = await admit('first', 'small-artifact');
if (mode === 'read-only') execFileSync('mount', ['-o', 'remount,ro', state]);
else {
  const { bavail, bsize } = statfsSync(state);
  writeFileSync(join(state, 'foreign'), Buffer.alloc(bavail * bsize - 64 * 1024));
}
await admit('second', 'artifact');
console.log(`first again: ${(await store.open(blob, accept)) === undefined ? 'lost' : 'kept'}`);
if (mode === 'full') {
  await admit('small one', 'small-artifact');
  console.log(`left: ${readdirSync(join(state, 'incoming')).length}`);
}
store.close();
