import { createHash } from 'node:crypto';
import { signArtifact } from '@playa/common/artifact-trailer';
import type { SigningKey } from '@playa/common/key-store';

/** A signed artifact around any text or bytes: the tiers never look into the code. */
export function makeArtifact(elf: string | Buffer, key: SigningKey, engine: object = {}): Buffer {
  const code = Buffer.from(elf as string);
  const sha256 = createHash('sha256').update(code).digest('hex');
  const manifest = {
    name: 'f',
    kind: 'component' as const,
    source: { kind: 'wat' as const, sha256 },
    elf: { sha256, bytes: code.length },
    engine: {
      wasmtime: '48.0.8',
      target: 'x86_64-unknown-linux-gnu',
      cpu: 'baseline' as const,
      flags: ['fuel', 'epoch-interruption'],
      ...engine,
    },
    world: 'http-0.2' as const,
    builtAt: '2026-01-01T00:00:00.000Z',
    builder: 'test',
  };
  return Buffer.concat([code, signArtifact(manifest, key)]);
}
