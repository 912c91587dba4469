import { pino, type Logger } from 'pino';

/** A logger that writes JSON lines to stdout, gathered and written together. */
export type OpenLogger = {
  log: Logger;
  /** Writes a line that is JSON already, with its line break, whatever its level. */
  writeLine: (line: string) => void;
  /** Writes out what is gathered. */
  flush: () => void;
};

/** Lines are gathered up to this many characters, so that a busy server does not make a system call for each. */
const GATHER_CHARACTERS = 64 * 1024;
/** The longest that a line waits. */
const GATHER_MS = 20;
/** Larger than what is gathered, so that it is not cut into pieces. */
const MAX_WRITE_BYTES = 1024 * 1024;

/**
 * Opens the logger.
 *
 * Lines are gathered here and not by pino's destination, which measures all it has gathered again for each further line: with thousands
 * of lines a second that was most of the garbage of the dispatcher.
 */
export function openLogger(level: string): OpenLogger {
  const destination = pino.destination({ dest: 1, sync: false, minLength: 0, maxWrite: MAX_WRITE_BYTES });
  let lines: string[] = [];
  let characters = 0;
  let timer: NodeJS.Timeout | undefined;

  const writeOut = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (lines.length > 0) destination.write(lines.join(''));
    lines = [];
    characters = 0;
  };

  const writeLine = (line: string): void => {
    lines.push(line);
    characters += line.length;
    if (characters >= GATHER_CHARACTERS) writeOut();
    else timer ??= setTimeout(writeOut, GATHER_MS).unref();
  };

  const log = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, { write: writeLine });
  return {
    log,
    writeLine,
    flush: () => {
      writeOut();
      destination.flushSync();
    },
  };
}
