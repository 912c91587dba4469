import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createDisplay, formatDuration } from '../../setup/lib/display.mjs';

function stream(
  isTTY: boolean,
  columns?: number,
): { isTTY: boolean; columns?: number; written: string; write(text: string): void } {
  return {
    isTTY,
    ...(columns === undefined ? {} : { columns }),
    written: '',
    write(text: string) {
      this.written += text;
    },
  };
}

/** What a terminal shows after all that: moves the cursor up, erases, writes. */
function screen(written: string): string[] {
  let lines = [''];
  for (const part of written.split(/(\u001b\[\d*[AJ]|\r|\n)/)) {
    const up = /^\u001b\[(\d+)A$/.exec(part);
    if (up !== null) lines = [...lines.slice(0, lines.length - 1 - Number(up[1])), ''];
    else if (part === '\n') lines.push('');
    else if (!part.startsWith('\u001b') && part !== '\r') lines[lines.length - 1] += part;
  }
  return lines;
}

describe('without a terminal', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('news comes at once, then every so often, also when there is none, then the end; and no control character', () => {
    const out = stream(false);
    const display = createDisplay({ stream: out, now: () => performance.now(), plainIntervalMs: 15_000 });
    const step = display.begin('runner');
    for (let second = 0; second < 31; second += 1) {
      step.update(`compiling ${second}/220`);
      vi.advanceTimersByTime(1_000);
    }
    vi.advanceTimersByTime(15_000);
    step.done('built');
    display.note('all there');
    display.close();
    vi.advanceTimersByTime(60_000);
    expect(out.written.split('\n').map((line) => line.replaceAll(/ +/g, ' '))).toEqual([
      '… runner compiling 0/220',
      '… runner compiling 14/220 (15s)',
      '… runner compiling 29/220 (30s)',
      '… runner compiling 30/220 (45s)',
      '✓ runner built (46s)',
      'all there',
      '',
    ]);
  });

  test('a failed step says how it ended', () => {
    const out = stream(false);
    createDisplay({ stream: out, now: () => 0 })
      .begin('runner')
      .failed('stopped');
    expect(out.written).toBe('✗ runner             stopped\n');
  });
});

describe('on a terminal', () => {
  test('each running step has one line, below those that stay', () => {
    let time = 0;
    const out = stream(true, 80);
    const display = createDisplay({ stream: out, now: () => (time += 200) });
    const first = display.begin('wasmtime');
    const second = display.begin('npm packages');
    first.update('compiling 1/220 libc');
    second.update('fetched 10 files');
    first.update('compiling 2/220 cc');
    expect(screen(out.written).map((line) => line.slice(21).split(' (')[0])).toEqual([
      'compiling 2/220 cc',
      'fetched 10 files',
      '',
    ]);
    second.done('installed');
    display.note('a note');
    first.failed('failed');
    display.close();
    expect(screen(out.written).map((line) => line.split(' (')[0])).toEqual([
      '✓ npm packages       installed',
      'a note',
      '✗ wasmtime           failed',
      '',
    ]);
  });

  test('a line is never wider than the terminal: it would be two, and the next one would not replace it', () => {
    const out = stream(true, 30);
    const display = createDisplay({ stream: out, now: () => 0 });
    display.begin('runner').update('x'.repeat(100));
    display.note('');
    display.close();
    for (const line of screen(out.written)) expect(line.length).toBeLessThan(30);
  });
});

test.each([
  [0, '0s'],
  [59_400, '59s'],
  [59_600, '1m 00s'],
  [425_000, '7m 05s'],
])('%i ms is %s', (durationMs, expected) => {
  expect(formatDuration(durationMs)).toBe(expected);
});
