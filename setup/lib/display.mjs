/**
 * What set-up says while it works, on stderr: on a terminal one line per running step that is written over and over,
 * elsewhere plain lines: its first news, then news every so often, and how it ended.
 * @typedef {object} Display
 * @property {(text: string) => void} note prints a line that stays
 * @property {(name: string) => StepDisplay} begin a step has begun
 * @property {() => void} close leaves the terminal as it was
 */

/**
 * @typedef {object} StepDisplay
 * @property {(text: string) => void} update what the step is doing and how far it is; as often as it likes
 * @property {(text: string) => void} done the step has succeeded; the text says what came of it
 * @property {(how: string) => void} failed the step has come to nothing, in one word; what and why is printed by others
 */

/**
 * @typedef {object} DisplayOptions
 * @property {{ write: (text: string) => unknown, isTTY?: boolean, columns?: number }} stream where it goes
 * @property {() => number} now monotonic time in milliseconds
 * @property {number} [plainIntervalMs] how often a plain line repeats, 15 s by default
 */

/** A terminal is redrawn this often at most. */
const REDRAW_MS = 100;

/**
 * @param {DisplayOptions} options
 * @returns {Display}
 */
export function createDisplay(options) {
  return options.stream.isTTY === true ? createTerminalDisplay(options) : createPlainDisplay(options);
}

/**
 * @param {DisplayOptions} options
 * @returns {Display}
 */
function createTerminalDisplay({ stream, now }) {
  /** @type {Map<string, { text: string, startedAt: number }>} */
  const running = new Map();
  let drawnLines = 0;
  let drawnAt = -Infinity;
  const erase = () => (drawnLines === 0 ? '' : `\x1b[${drawnLines}A\r\x1b[J`);
  const draw = (/** @type {string} */ lasting) => {
    // Some pseudo-terminals say that they are 0 columns wide.
    const width = Math.max(20, stream.columns || 80) - 1;
    const lines = [...running].map(([name, step]) =>
      lineOf('…', name, step.text, now() - step.startedAt).slice(0, width),
    );
    stream.write(erase() + lasting + lines.map((line) => `${line}\n`).join(''));
    drawnLines = lines.length;
    drawnAt = now();
  };
  // The time that has passed is shown even while a tool says nothing.
  const timer = setInterval(() => running.size > 0 && draw(''), 1_000);
  timer.unref();
  return {
    note: (text) => draw(`${text}\n`),
    begin: (name) => {
      const step = { text: '', startedAt: now() };
      running.set(name, step);
      draw('');
      return {
        update: (text) => {
          step.text = text;
          if (now() - drawnAt >= REDRAW_MS) {
            draw('');
          }
        },
        done: (text) => {
          running.delete(name);
          draw(`${lineOf('✓', name, text, now() - step.startedAt)}\n`);
        },
        failed: (how) => {
          running.delete(name);
          draw(`${lineOf('✗', name, how, now() - step.startedAt)}\n`);
        },
      };
    },
    close: () => {
      clearInterval(timer);
      running.clear();
      draw('');
    },
  };
}

/**
 * @param {DisplayOptions} options
 * @returns {Display}
 */
function createPlainDisplay({ stream, now, plainIntervalMs = 15_000 }) {
  const print = (/** @type {string} */ line) => stream.write(`${line}\n`);
  /** @type {Set<NodeJS.Timeout>} */
  const timers = new Set();
  return {
    note: print,
    begin: (name) => {
      const startedAt = now();
      let text = '';
      const printNews = () => print(lineOf('…', name, text, now() - startedAt));
      // Also when there is nothing new: a tool that waits for another is silent, and silence looks like a hang.
      const timer = setInterval(printNews, plainIntervalMs).unref();
      timers.add(timer);
      const end = (/** @type {string} */ sign, /** @type {string} */ how) => {
        clearInterval(timer);
        print(lineOf(sign, name, how, now() - startedAt));
      };
      return {
        update: (news) => {
          const isFirst = text === '';
          text = news;
          if (isFirst) {
            printNews();
          }
        },
        done: (how) => end('✓', how),
        failed: (how) => end('✗', how),
      };
    },
    close: () => timers.forEach(clearInterval),
  };
}

/**
 * @param {string} sign
 * @param {string} name
 * @param {string} text
 * @param {number} elapsedMs
 */
function lineOf(sign, name, text, elapsedMs) {
  const elapsed = elapsedMs < 1_000 ? '' : ` (${formatDuration(elapsedMs)})`;
  return `${sign} ${name.padEnd(18)} ${text}${elapsed}`;
}

/**
 * @param {number} durationMs
 * @returns {string} such as `7s` or `2m 05s`
 */
export function formatDuration(durationMs) {
  const seconds = Math.round(durationMs / 1_000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m ${String(seconds % 60).padStart(2, '0')}s`;
}
