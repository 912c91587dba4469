/** `log`, `debug` and `info` go to the function's log as stdout, the others as stderr. */
interface Console {
  assert(condition?: boolean, ...data: any[]): void;
  clear(): void;
  count(label?: string): void;
  countReset(label?: string): void;
  debug(...data: any[]): void;
  dir(item?: any, options?: any): void;
  dirxml(...data: any[]): void;
  error(...data: any[]): void;
  group(...data: any[]): void;
  groupCollapsed(...data: any[]): void;
  groupEnd(): void;
  info(...data: any[]): void;
  log(...data: any[]): void;
  table(data?: any, properties?: string[]): void;
  time(label?: string): void;
  timeEnd(label?: string): void;
  timeLog(label?: string, ...data: any[]): void;
  trace(...data: any[]): void;
  warn(...data: any[]): void;
}

declare var console: Console;

/** Timers are there only while a request is handled, not at the top level of a module. */
declare function setTimeout(callback: (...values: any[]) => void, milliseconds?: number, ...values: any[]): number;
declare function clearTimeout(timer: number | undefined): void;
declare function setInterval(callback: (...values: any[]) => void, milliseconds?: number, ...values: any[]): number;
declare function clearInterval(timer: number | undefined): void;
declare function setImmediate(callback: (...values: any[]) => void, ...values: any[]): number;
declare function clearImmediate(immediate: number | undefined): void;
declare function queueMicrotask(callback: () => void): void;

declare function structuredClone<Value>(value: Value, options?: { transfer?: ArrayBuffer[] }): Value;

interface Performance {
  readonly timeOrigin: number;
  /** Only while a request is handled. */
  now(): number;
}

declare var performance: Performance;

declare var navigator: { readonly userAgent: string };

/** The URL of the request that is being handled. */
declare var location: Readonly<
  Pick<URL, 'hash' | 'host' | 'hostname' | 'href' | 'origin' | 'pathname' | 'port' | 'protocol' | 'search'>
>;

declare var self: typeof globalThis;
