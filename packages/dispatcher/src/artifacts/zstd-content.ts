import { pipeline, Readable } from 'node:stream';
import { constants, createZstdDecompress } from 'node:zlib';
import { ArtifactError } from '@playa/common/artifact-error';

const MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
/** What the frame's header may have, up to the length of the content (RFC 8878, section 3.1.1.1). */
export const MAX_ZSTD_HEAD_BYTES = 18;
/** 2^27 bytes, what `zstd` itself reads without being told to take more memory. */
const MAX_WINDOW_LOG = 27;

/** Whether content is compressed by zstd: told by its first bytes, however the object is named. */
export function isZstd(head: Buffer): boolean {
  return head.subarray(0, MAGIC.length).equals(MAGIC);
}

/** How long the content is, as the header of its first frame says, which may be wrong; `undefined` where it does not. */
export function zstdContentBytes(head: Buffer): number | undefined {
  const descriptor = head[MAGIC.length];
  if (descriptor === undefined) return undefined;
  const sizeFlag = descriptor >> 6;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const sizeBytes = sizeFlag === 0 ? (isSingleSegment ? 1 : 0) : 1 << sizeFlag;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  const at = MAGIC.length + 1 + (isSingleSegment ? 0 : 1) + dictionaryBytes;
  if (sizeBytes === 0 || head.length < at + sizeBytes) return undefined;
  if (sizeBytes === 8) return Number(head.readBigUInt64LE(at));
  return head.readUIntLE(at, sizeBytes) + (sizeBytes === 2 ? 256 : 0);
}

/**
 * Decompresses, and no further than `maxBytes`: a few bytes could stand for terabytes.
 * @throws {ArtifactError} `not_an_artifact` when it is damaged, ends early or is too long; errors of the source as they are
 */
export async function* decompressZstd(content: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<Buffer> {
  let sourceError: unknown;
  const source = Readable.from(
    (async function* () {
      try {
        // What is read ahead may be lent.
        for await (const chunk of content) yield Buffer.from(chunk);
      } catch (error) {
        sourceError = error;
        throw error;
      }
    })(),
  );
  const decompress = createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG } });
  // Errors reach whoever reads `decompress`.
  pipeline(source, decompress, () => {});
  let bytes = 0;
  try {
    for await (const chunk of decompress) {
      bytes += (chunk as Buffer).length;
      if (bytes > maxBytes) throw refused(`it is more than ${maxBytes} bytes when decompressed`);
      yield chunk as Buffer;
    }
  } catch (error) {
    if (sourceError !== undefined) throw sourceError;
    if (error instanceof ArtifactError || !isZlibError(error)) throw error;
    throw refused('its zstd data is damaged or incomplete', error);
  } finally {
    source.destroy();
  }
}

function isZlibError(error: unknown): boolean {
  const code = String((error as NodeJS.ErrnoException).code);
  return /^(?:ZSTD_|Z_|ERR_ZLIB)/.test(code);
}

function refused(why: string, cause?: unknown): ArtifactError {
  return new ArtifactError('not_an_artifact', `not an artifact: ${why}; compress or build it again`, { cause });
}
