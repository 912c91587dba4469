import { describe, expect, test } from 'vitest';
import { createRenewing } from '@playa/common/credentials/renewing';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

type Value = { number: number; expiresAtMs?: number };

function createSource(lifeMs?: number) {
  const source = { nowMs: 0, fetched: 0, broken: false, waiting: [] as (() => void)[], hold: false };
  const renewing = createRenewing<Value>(
    async () => {
      source.fetched++;
      if (source.hold) await new Promise<void>((resolve) => source.waiting.push(resolve));
      if (source.broken) throw new Error('broken');
      return { number: source.fetched, ...(lifeMs !== undefined && { expiresAtMs: source.nowMs + lifeMs }) };
    },
    { timeMs: () => source.nowMs, random: () => 0.5 },
  );
  return { source, renewing };
}

/** Lets what was started behind go as far as it can. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('what is renewed', () => {
  test('many who ask at once cause one fetch', async () => {
    const { source, renewing } = createSource();
    const values = await Promise.all(Array.from({ length: 1000 }, () => renewing.get()));
    expect(new Set(values).size).toBe(1);
    expect(source.fetched).toBe(1);
  });

  test('what has no end is kept', async () => {
    const { source, renewing } = createSource();
    await renewing.get();
    source.nowMs += 1000 * HOUR_MS;
    await renewing.get();
    expect(source.fetched).toBe(1);
  });

  test('minutes before its end another is fetched behind, and nobody waits', async () => {
    const { source, renewing } = createSource(HOUR_MS);
    await renewing.get();
    source.nowMs = HOUR_MS - 5.6 * MINUTE_MS;
    await renewing.get();
    await settle();
    expect(source.fetched).toBe(1);
    source.nowMs = HOUR_MS - 5.4 * MINUTE_MS;
    expect((await renewing.get()).number).toBe(1);
    await settle();
    expect((await renewing.get()).number).toBe(2);
    expect(source.fetched).toBe(2);
  });

  test('a source that fails is not noticed while the old ones are good, nor asked at every call', async () => {
    const { source, renewing } = createSource(HOUR_MS);
    await renewing.get();
    source.broken = true;
    source.nowMs = HOUR_MS - 2 * MINUTE_MS;
    for (let count = 0; count < 10; count++) {
      expect((await renewing.get()).number).toBe(1);
      await settle();
    }
    expect(source.fetched).toBe(2);
    source.nowMs += 11_000;
    await renewing.get();
    await settle();
    expect(source.fetched).toBe(3);
    source.nowMs = HOUR_MS;
    await expect(renewing.get()).rejects.toThrow('broken');
    source.broken = false;
    expect((await renewing.get()).number).toBe(5);
  });

  test('what ends in a moment is not used any more', async () => {
    const { source, renewing } = createSource(HOUR_MS);
    await renewing.get();
    source.nowMs = HOUR_MS - 4_000;
    expect((await renewing.get()).number).toBe(2);
  });

  test('short lives are renewed at their half', async () => {
    const { source, renewing } = createSource(MINUTE_MS);
    await renewing.get();
    source.nowMs = 29_000;
    await renewing.get();
    await settle();
    expect(source.fetched).toBe(1);
    source.nowMs = 31_000;
    await renewing.get();
    await settle();
    expect(source.fetched).toBe(2);
  });

  test('what was refused is fetched anew, once however many say so', async () => {
    const { source, renewing } = createSource();
    const first = await renewing.get();
    renewing.renew(first);
    const second = await renewing.get();
    renewing.renew(first);
    expect(await renewing.get()).toBe(second);
    expect(source.fetched).toBe(2);
  });

  test('a signal ends the waiting of one, not of the others', async () => {
    const { source, renewing } = createSource();
    source.hold = true;
    const controller = new AbortController();
    const reason = new Error('enough');
    const impatient = renewing.get(controller.signal);
    const patient = renewing.get();
    controller.abort(reason);
    await expect(impatient).rejects.toBe(reason);
    source.waiting[0]!();
    expect((await patient).number).toBe(1);
    await expect(renewing.get(controller.signal)).rejects.toBe(reason);
  });
});
