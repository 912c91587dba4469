import { styleText } from 'node:util';

/** Shows how far a build is. */
export type Progress = {
  /** Ends the step before, and begins the next one of `total`. */
  readonly step: (label: string) => void;
  /** Says something that does not stop the build. */
  readonly warn: (message: string) => void;
  /** Ends the last step; `failed` leaves it without its mark. */
  readonly end: (outcome: 'done' | 'failed') => void;
};

/** Where progress goes. */
export type ProgressTarget = {
  readonly stream: { readonly isTTY?: boolean; write(text: string): unknown };
  /** Milliseconds, of a clock that never goes back. */
  readonly now: () => number;
};

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 100;
const ERASE_LINE = '\r\u001B[2K';

/** On a terminal a line that moves, elsewhere a plain line as each step begins and ends. */
export function createProgress(title: string, total: number, { stream, now }: ProgressTarget): Progress {
  const moving = stream.isTTY === true;
  let number = 0;
  let label: string | undefined;
  let startedAt = 0;
  let timer: NodeJS.Timeout | undefined;

  const seconds = () => `${((now() - startedAt) / 1000).toFixed(1)} s`;
  const place = () => `${title} [${number}/${total}] ${label}`;

  function draw(): void {
    const frame = FRAMES[Math.floor(now() / FRAME_MS) % FRAMES.length]!;
    stream.write(`${ERASE_LINE}${styleText('cyan', frame)} ${place()} ${styleText('dim', seconds())}`);
  }

  function end(outcome: 'done' | 'failed'): void {
    if (label === undefined) return;
    clearInterval(timer);
    if (moving) {
      const mark = outcome === 'done' ? styleText('green', '✓') : styleText('red', '✗');
      stream.write(`${ERASE_LINE}${mark} ${place()} ${styleText('dim', seconds())}\n`);
    } else if (outcome === 'done') {
      stream.write(`${place()}: ${seconds()}\n`);
    }
    label = undefined;
  }

  return {
    step(next) {
      end('done');
      number += 1;
      label = next;
      startedAt = now();
      if (moving) {
        draw();
        timer = setInterval(draw, FRAME_MS).unref();
      } else {
        stream.write(`${place()} …\n`);
      }
    },
    warn(message) {
      stream.write(
        `${moving ? ERASE_LINE : ''}${styleText('yellow', 'warning:', { stream: process.stderr })} ${message}\n`,
      );
    },
    end,
  };
}

/** Shows nothing: for `--json`, and for callers that report themselves. */
export const silentProgress: Progress = { step: () => {}, warn: () => {}, end: () => {} };
