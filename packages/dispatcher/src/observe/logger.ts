import { pino, type Logger } from "pino";

/** A logger that writes JSON lines to stdout, gathered and written together. */
export type OpenLogger = {
  log: Logger;
  /** Writes a line that is JSON already, with its line break, whatever its level. */
  writeLine: (line: string) => void;
  /** Writes out what is gathered. */
  flush: () => void;
};

/** Lines are gathered up to this size, so that a busy server does not make a system call for each. */
const GATHER_BYTES = 8 * 1024;
/** The longest that a line waits. */
const GATHER_MS = 50;

export function openLogger(level: string): OpenLogger {
  const destination = pino.destination({ dest: 1, minLength: GATHER_BYTES, sync: false, periodicFlush: GATHER_MS });
  const log = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  return { log, writeLine: (line) => void destination.write(line), flush: () => destination.flushSync() };
}
