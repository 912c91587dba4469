import type { Readable } from 'node:stream';

/** A line of the log, parsed. */
export type LogLine = { level: number; time: string; msg: string; [member: string]: unknown };

/** The account of an invocation, as the access log has it. */
export type InvocationLine = LogLine & {
  reqId: string;
  function?: string;
  method: string;
  status?: number;
  outcome: string;
  reason?: string;
  detail?: string;
  isolation: string;
  runner?: number;
  worker?: number;
  attempts?: number;
  durationUs: number;
  fuel?: number;
  guestUs?: number;
  memoryBytes?: number;
  workerCpuUs?: number;
  workerMaxRssKb?: number;
  workerSignal?: number;
  requestBytes: number;
  responseBytes: number;
};

/** Collects a program's log while it runs. */
export type LogLines = {
  /** All lines so far that are JSON. */
  readonly lines: readonly LogLine[];
  /** What was written and is no JSON line. */
  readonly other: readonly string[];
  /** The first line, past or to come, for which the predicate holds. Rejects when the log ends or after 50 s. */
  waitFor: (what: string, predicate: (line: LogLine) => boolean) => Promise<LogLine>;
  /** The access log's line of a request. */
  invocation: (requestId: string) => Promise<InvocationLine>;
  /** The access log's first line of a function that fits. */
  invocationOf: (functionName: string, predicate?: (line: InvocationLine) => boolean) => Promise<InvocationLine>;
};

const LIMIT_MS = 50_000;
const SHOWN_LINES = 6;

/** Reads lines of JSON from a stream until it ends. */
export function collectLogLines(stream: Readable): LogLines {
  const lines: LogLine[] = [];
  const other: string[] = [];
  const watchers = new Set<() => void>();
  let ended = false;
  let rest = '';

  const notify = (): void => {
    for (const watcher of watchers) watcher();
  };
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop()!;
    for (const part of parts) {
      const line = parseLine(part);
      if (line === undefined) other.push(part);
      else lines.push(line);
    }
    notify();
  });
  stream.on('close', () => {
    ended = true;
    notify();
  });

  const waitFor = (what: string, predicate: (line: LogLine) => boolean): Promise<LogLine> =>
    new Promise((resolve, reject) => {
      let seen = 0;
      const leave = (): void => {
        clearTimeout(timer);
        watchers.delete(look);
      };
      const fail = (why: string): void => {
        leave();
        const tail = [...lines.slice(-SHOWN_LINES).map((line) => JSON.stringify(line)), ...other.slice(-SHOWN_LINES)];
        reject(new Error(`not in the log ${why}: ${what}\n${tail.join('\n')}`));
      };
      const look = (): void => {
        for (; seen < lines.length; seen++) {
          if (!predicate(lines[seen]!)) continue;
          leave();
          resolve(lines[seen]!);
          return;
        }
        if (ended) fail('when it ended');
      };
      const timer = setTimeout(() => fail(`within ${LIMIT_MS} ms`), LIMIT_MS);
      watchers.add(look);
      look();
    });

  return {
    lines,
    other,
    waitFor,
    invocation: async (requestId) =>
      (await waitFor(
        `the account of ${requestId}`,
        (line) => line.msg === 'invocation' && line['reqId'] === requestId,
      )) as InvocationLine,
    invocationOf: async (functionName, predicate = () => true) =>
      (await waitFor(
        `an account of ${functionName}`,
        (line) => line.msg === 'invocation' && line['function'] === functionName && predicate(line as InvocationLine),
      )) as InvocationLine,
  };
}

function parseLine(text: string): LogLine | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    return JSON.parse(text) as LogLine;
  } catch {
    return undefined;
  }
}
