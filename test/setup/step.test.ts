import { describe, expect, test } from 'vitest';
import type { Display } from '../../setup/lib/display.mjs';
import { runSteps } from '../../setup/lib/step.mjs';
import type { Step, StepContext } from '../../setup/lib/step.mjs';

function recorder(): { display: Display; lines: string[] } {
  const lines: string[] = [];
  const display: Display = {
    note: (text) => lines.push(text),
    begin: (name) => ({
      update: (text) => lines.push(`${name}: ${text}`),
      done: (text) => lines.push(`${name} done: ${text}`),
      failed: (how) => lines.push(`${name} ${how}`),
    }),
    close: () => undefined,
  };
  return { display, lines };
}

function step(name: string, after: string[], run: (context: StepContext) => Promise<string>, isCurrent = false): Step {
  return { name, after, isCurrent: () => isCurrent, run };
}

const never = new AbortController().signal;

describe('runSteps', () => {
  test('runs a step after those it needs, and the others side by side', async () => {
    const { display, lines } = recorder();
    const both = Promise.withResolvers<void>();
    let begun = 0;
    // Each waits until the other has begun: one after the other they would never end.
    const meet = async (): Promise<string> => {
      begun += 1;
      if (begun === 2) both.resolve();
      await both.promise;
      return 'met';
    };
    const result = await runSteps(
      [step('a', [], meet), step('b', [], meet), step('c', ['a', 'b'], async () => 'last')],
      {
        display,
        signal: never,
      },
    );
    expect(result).toEqual({ ran: ['a', 'b', 'c'], failures: [] });
    expect(lines.at(-1)).toBe('c done: last');
  });

  test('skips what is current without a word', async () => {
    const { display, lines } = recorder();
    const result = await runSteps(
      [step('a', [], () => Promise.reject(new Error('ran')), true), step('b', ['a'], async () => 'ran')],
      { display, signal: never },
    );
    expect(result).toEqual({ ran: ['b'], failures: [] });
    expect(lines).toEqual(['b done: ran']);
  });

  test('asks whether a step is current only when those it needs are done', async () => {
    const { display } = recorder();
    let made = false;
    const result = await runSteps(
      [
        step('a', [], async () => {
          made = true;
          return 'made';
        }),
        { name: 'b', after: ['a'], isCurrent: () => made, run: async () => 'ran' },
      ],
      { display, signal: never },
    );
    expect(result.ran).toEqual(['a']);
  });

  test('a failure stops those that run, keeps the rest from starting, and is the only one reported', async () => {
    const { display, lines } = recorder();
    const failure = new Error('no space');
    const result = await runSteps(
      [
        step(
          'long',
          [],
          ({ signal }) =>
            new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
        ),
        step('broken', [], () => Promise.reject(failure)),
        step('later', ['long'], async () => 'ran'),
      ],
      { display, signal: never },
    );
    expect(result).toEqual({ ran: ['long', 'broken'], failures: [{ name: 'broken', error: failure }] });
    expect(lines.toSorted()).toEqual(['broken failed', 'long stopped']);
  });

  test('goes on after a failure when told so, but not with what needed the failed step', async () => {
    const { display } = recorder();
    const result = await runSteps(
      [
        step('broken', [], () => Promise.reject(new Error('1'))),
        step('needs', ['broken'], async () => 'ran'),
        step('other', [], async () => 'ran'),
        { name: 'unclear', isCurrent: () => Promise.reject(new Error('2')), run: async () => 'ran' },
      ],
      { display, signal: never, keepGoing: true },
    );
    expect(result.ran).toEqual(['broken', 'other']);
    expect(result.failures.map(({ name }) => name).toSorted()).toEqual(['broken', 'unclear']);
  });

  test('does nothing when it was stopped before', async () => {
    const { display } = recorder();
    const signal = AbortSignal.abort(new Error('stopped'));
    expect(await runSteps([step('a', [], async () => 'ran')], { display, signal })).toEqual({ ran: [], failures: [] });
  });

  test('refuses a need that does not come before', async () => {
    const { display } = recorder();
    await expect(
      runSteps([step('a', ['b'], async () => ''), step('b', [], async () => '')], { display, signal: never }),
    ).rejects.toThrow('step a needs b');
  });
});
