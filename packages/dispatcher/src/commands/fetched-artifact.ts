import { createReadStream } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isPointer, MAX_POINTER_BYTES, parsePointer, versionKey } from '@playa/common/function-pointer';
import type { ObjectStore } from '@playa/common/object-store';
import { peekable } from '../artifacts/incoming-object.ts';
import { decompressZstd, isZstd } from '../artifacts/zstd-content.ts';
import { CommandError } from './command.ts';

const MAX_ARTIFACT_BYTES = 4 * 1024 ** 3;
const FETCH_TIMEOUT_MS = 10 * 60_000;

/** Brings an artifact into a file of its own, decompressed, uses it and removes it. */
export async function withArtifact<T>(content: AsyncIterable<Buffer>, use: (path: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'playa-artifact-'));
  const path = join(folder, 'function.cwasm');
  try {
    const chunks = peekable(content);
    const plain = isZstd(await chunks.peek(4)) ? decompressZstd(chunks, MAX_ARTIFACT_BYTES) : chunks;
    const file = await open(path, 'wx');
    try {
      for await (const chunk of plain) await file.writeFile(chunk);
    } finally {
      await file.close();
    }
    return await use(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The content of a file or of an `http:` or `https:` URL. */
export async function readLocation(location: string): Promise<AsyncIterable<Buffer>> {
  if (!/^https?:\/\//.test(location)) return createReadStream(location);
  const answer = await fetch(location, { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) }).catch((cause: Error) => {
    throw new CommandError(
      'failed',
      `${location} cannot be read: ${(cause.cause as Error | undefined)?.message ?? cause}`,
      {
        cause,
      },
    );
  });
  if (!answer.ok || answer.body === null) throw new CommandError('failed', `${location} answers ${answer.status}`);
  const { body } = answer;
  return (async function* () {
    for await (const chunk of body) yield Buffer.from(chunk);
  })();
}

/** The present artifact of a function in a bucket, pointers followed. */
export async function readFunction(store: ObjectStore, name: string): Promise<AsyncIterable<Buffer>> {
  const object = await store.get(`${name}.cwasm`);
  if (object === undefined || object === 'not_modified') {
    throw new CommandError('not_found', `there is no function ${name} in the bucket`);
  }
  const chunks = peekable(object.body);
  const head = await chunks.peek(object.bytes <= MAX_POINTER_BYTES ? object.bytes : 1);
  if (object.bytes > MAX_POINTER_BYTES || !isPointer(head)) return chunks;
  const { sha256 } = parsePointer(head).present;
  const version = await store.get(versionKey(sha256));
  if (version === undefined || version === 'not_modified') {
    throw new CommandError('not_found', `${name} points to version ${sha256}, which the bucket does not have`);
  }
  return version.body;
}
