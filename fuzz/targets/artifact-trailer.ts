import { ArtifactError } from '@playa/common/artifact-error';
import { parseManifest } from '@playa/common/artifact-manifest';
import { encodeTrailer, FOOTER_BYTES, parseFooter, SIGNATURE_BYTES } from '@playa/common/artifact-trailer';
import type { FuzzTarget } from '../fuzz-target.ts';

const MANIFEST = {
  format: 1,
  name: 'f',
  kind: 'component',
  source: { kind: 'wat', sha256: '0'.repeat(64) },
  elf: { sha256: '1'.repeat(64), bytes: 64 },
  engine: {
    wasmtime: '48.0.8',
    target: 'x86_64-unknown-linux-gnu',
    cpu: 'baseline',
    flags: ['fuel', 'epoch-interruption'],
  },
  world: 'http-0.2',
  builtAt: '2026-01-01T00:00:00.000Z',
  builder: 'fuzz',
  key: '0123456789abcdef',
  policy: { limits: { 'wall-ms': 5 } },
};

/** The end of a file that somebody put into the bucket. */
export const ARTIFACT_TRAILER: FuzzTarget = {
  name: 'artifact trailers',
  seeds: () => {
    const manifest = Buffer.from(JSON.stringify(MANIFEST));
    const trailer = encodeTrailer(manifest, Buffer.alloc(SIGNATURE_BYTES, 7), 64);
    return [Buffer.concat([Buffer.alloc(64, 1), trailer])];
  },
  read: (input) => {
    const { elfBytes, manifestBytes } = parseFooter(input.subarray(-FOOTER_BYTES), input.length);
    parseManifest(input.subarray(elfBytes, elfBytes + manifestBytes));
  },
  isRefusal: (error) => error instanceof ArtifactError,
};
