import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Coverage } from './coverage.ts';
import type { FuzzTarget } from './fuzz-target.ts';
import { createRandom, mutate } from './mutate.ts';

/** How it went. `failure` is where the input was written that the reader did not stand. */
export type FuzzResult = { cases: number; corpus: number; failure?: string };

/** No input may take longer: that is a way to stop a server, too. */
const SLOW_MS = 1_000;

/**
 * Feeds a target with changed inputs for a while; those that reach new code are changed further.
 * @param folder where an input is written that the reader does not stand
 */
export function runTarget(
  target: FuzzTarget,
  coverage: Coverage,
  options: { seconds: number; seed: number; folder: string },
): FuzzResult {
  const random = createRandom(options.seed);
  const corpus: Buffer[] = [];
  const endMs = performance.now() + options.seconds * 1000;
  let cases = 0;

  const fail = (input: Buffer, why: unknown): FuzzResult => {
    mkdirSync(options.folder, { recursive: true });
    const failure = join(options.folder, `${target.name.replaceAll(' ', '-')}.bin`);
    writeFileSync(failure, input);
    writeFileSync(`${failure}.txt`, why instanceof Error ? (why.stack ?? why.message) : String(why));
    return { cases, corpus: corpus.length, failure };
  };
  const feed = (input: Buffer): FuzzResult | undefined => {
    cases++;
    const startedMs = performance.now();
    try {
      target.read(input);
    } catch (error) {
      if (!target.isRefusal(error)) return fail(input, error);
    }
    const tookMs = performance.now() - startedMs;
    return tookMs > SLOW_MS ? fail(input, `it took ${Math.round(tookMs)} ms`) : undefined;
  };

  for (const seed of [Buffer.alloc(0), ...target.seeds()]) {
    const failed = feed(seed);
    if (failed !== undefined) return failed;
    coverage.isNew();
    corpus.push(seed);
  }
  while (performance.now() < endMs) {
    const base = corpus[random.below(corpus.length)]!;
    const input = mutate(base, corpus[random.below(corpus.length)]!, random);
    const failed = feed(input);
    if (failed !== undefined) return failed;
    if (coverage.isNew()) corpus.push(input);
  }
  return { cases, corpus: corpus.length };
}
