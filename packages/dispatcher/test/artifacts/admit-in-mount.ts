/** Run by disk-store.test.ts on a small file system: fills it or makes it read-only, and says what the store makes of it. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { loadTrust, verifyTrailer } from '@playa/common/trust';
import { openDiskStore } from '../../src/artifacts/disk-store.ts';

const [folder = '', state = '', mode] = process.argv.slice(2);
const store = await openDiskStore({ directory: state, maxBytes: 1e9, maxArtifactBytes: 1e9, nowMs: Date.now });

async function admit(what: string, file: string): Promise<void> {
  const content = readFileSync(join(folder, file));
  const object = {
    bytes: content.length,
    body: Readable.from([content]),
    readTail: (bytes: number) => Promise.resolve(content.subarray(content.length - bytes)),
  };
  try {
    await store.admit(object, async (trailer) =>
      verifyTrailer(trailer, await loadTrust(join(folder, 'keys')), Date.now()),
    );
    console.log(`${what}: kept`);
  } catch (error) {
    console.log(`${what}: ${(error as Error).name} ${(error as Error).message}`);
  }
}

await admit('first', 'small-artifact');
if (mode === 'read-only') execFileSync('mount', ['-o', 'remount,ro', state]);
else {
  const { bavail, bsize } = statfsSync(state);
  writeFileSync(join(state, 'foreign'), Buffer.alloc(bavail * bsize - 64 * 1024));
}
await admit('second', 'artifact');
await admit('first again', 'small-artifact');
if (mode === 'full') {
  await admit('small one', 'small-artifact');
  console.log(`left: ${readdirSync(join(state, 'incoming')).length}`);
}
store.close();
