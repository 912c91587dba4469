/** Run by disk-crash.test.ts: admits an artifact and kills itself at a step of the write. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { loadTrust, verifyTrailer } from '@playa/common/trust';
import { openDiskStore } from '../../src/artifacts/disk-store.ts';
import { openNameRecords } from '../../src/artifacts/name-records.ts';

const [folder = '', step] = process.argv.slice(2);
const crash = (at: string): void => {
  if (at === step) process.kill(process.pid, 'SIGKILL');
};
const directory = join(folder, 'state');
const store = await openDiskStore({
  directory,
  maxBytes: 1e9,
  maxArtifactBytes: 1e9,
  nowMs: Date.now,
  atStep: crash,
});
const records = await openNameRecords({
  directory,
  bucket: 'test',
  nowMs: Date.now,
  atRecorded: () => crash('recorded'),
});
const content = readFileSync(join(folder, 'artifact'));
const { blob } = await store.admit(
  {
    bytes: content.length,
    body: Readable.from([content.subarray(0, 400_000), content.subarray(400_000)]),
    readTail: (bytes) => Promise.resolve(content.subarray(content.length - bytes)),
  },
  async (trailer) => verifyTrailer(trailer, await loadTrust(join(folder, 'keys')), Date.now()),
);
await records.write('f', { object: 'f.cwasm', etag: 'new', blob, policy: undefined });
store.close();
