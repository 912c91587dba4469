import type { Logger } from 'pino';
import type { ArtifactError } from '@playa/common/artifact-error';
import type { ArtifactManifest } from '@playa/common/artifact-manifest';
import type { Closable } from '@playa/common/object-store';
import { refusalOf, type Trust } from '@playa/common/trust';

/**
 * Looks now and then whether other keys are trusted or something was revoked, or a key's time has come to its end, and tells what is refused from
 * then on. A key store that cannot be read leaves everything as it is.
 */
export function watchTrust(deps: {
  load: () => Promise<Trust>;
  intervalMs: number;
  onChange: (refusal: (manifest: ArtifactManifest) => ArtifactError | undefined) => void;
  nowMs: () => number;
  log: Logger;
}): Closable {
  let last: string | undefined;
  const look = async (): Promise<void> => {
    try {
      const trust = await deps.load();
      const now = deps.nowMs();
      const seen = describe(trust, now);
      const changed = last !== undefined && seen !== last;
      last = seen;
      if (changed) deps.onChange((manifest) => refusalOf(manifest, trust, now));
    } catch (error) {
      deps.log.error({ err: error }, 'the key store cannot be read; what was trusted is trusted still');
    }
  };
  void look();
  const timer = setInterval(() => void look(), deps.intervalMs);
  timer.unref();
  return { close: () => clearInterval(timer) };
}

/** Two readings that let the same artifacts run have the same description. */
function describe({ keys, revoked }: Trust, nowMs: number): string {
  const valid = [...keys.values()].map(({ id, notBeforeMs = -Infinity, notAfterMs = Infinity }) => {
    return `${id} ${nowMs >= notBeforeMs && nowMs <= notAfterMs}`;
  });
  return JSON.stringify([valid, [...revoked.keys], [...revoked.artifacts]]);
}
