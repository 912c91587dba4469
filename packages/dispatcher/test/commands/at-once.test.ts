import { expect, test } from 'vitest';
import { forEachAtOnce } from '../../src/commands/at-once.ts';

/** Actions that end when they are told to. */
function held() {
  const begun: number[] = [];
  const endings = new Map<number, PromiseWithResolvers<void>>();
  const action = (item: number): Promise<void> => {
    begun.push(item);
    endings.set(item, Promise.withResolvers());
    return endings.get(item)!.promise;
  };
  return { begun, endings, action };
}
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('so many side by side, the next when one has ended', async () => {
  const { begun, endings, action } = held();
  const all = forEachAtOnce([1, 2, 3, 4], 2, action);
  await settled();
  expect(begun).toEqual([1, 2]);
  endings.get(2)!.resolve();
  await settled();
  expect(begun).toEqual([1, 2, 3]);
  endings.get(1)!.resolve();
  endings.get(3)!.resolve();
  await settled();
  endings.get(4)!.resolve();
  await all;
});

test.each([1, 3])(
  'an error of one is the error of all, also with %d at once, when the others have ended',
  async (atOnce) => {
    const { begun, endings, action } = held();
    let over = false;
    const all = forEachAtOnce([1, 2, 3, 4, 5], atOnce, action).finally(() => (over = true));
    all.catch(() => undefined);
    await settled();
    endings.get(1)!.reject(new Error('the first'));
    await settled();
    expect(over).toBe(atOnce === 1);
    for (const item of begun) endings.get(item)!.resolve();
    await settled();
    for (const item of begun) endings.get(item)!.resolve();
    await expect(all).rejects.toThrow('the first');
    expect(begun.length).toBeLessThan(5);
  },
);

test('an error of the items themselves', async () => {
  const items = (async function* () {
    yield 1;
    throw new Error('of the list');
  })();
  await expect(forEachAtOnce(items, 2, async () => undefined)).rejects.toThrow('of the list');
});
