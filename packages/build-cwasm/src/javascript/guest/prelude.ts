// Evaluated before the function's own modules: fills what the engine lacks and a function may expect at its top level.
// What the engine has, or gets in a later version, is left as it is.

import { getEnvironment } from 'wasi:cli/environment@0.2.10';
import { bytes, canParse, from, parse, values } from './additions.ts';
import { TextDecoderStream, TextEncoderStream } from './codec-streams.ts';
import { errorText } from './error-text.ts';
import { createEnvironment } from './environment.ts';
import { beginInitialization, isInitializing } from './initialization.ts';
import { keepListeners } from './listeners.ts';
import { createFormDataMethod } from './multipart.ts';
import { cloneResponse } from './response-clone.ts';

type Immediate = ReturnType<typeof setTimeout>;

function provide(object: object, name: string | symbol, value: unknown): void {
  if (name in object) return;
  Object.defineProperty(object, name, { configurable: true, writable: true, value });
}

provide(Response.prototype, 'clone', cloneResponse);
provide(Response.prototype, 'bytes', bytes);
provide(Request.prototype, 'bytes', bytes);
provide(URL, 'canParse', canParse);
provide(URL, 'parse', parse);
provide(ReadableStream, 'from', from);
provide(ReadableStream.prototype, 'values', values);
provide(ReadableStream.prototype, Symbol.asyncIterator, values);
provide(globalThis, 'TextEncoderStream', TextEncoderStream);
provide(globalThis, 'TextDecoderStream', TextDecoderStream);
provide(globalThis, 'navigator', Object.freeze({ userAgent: 'Playa' }));
provide(globalThis, 'setImmediate', (callback: (...rest: unknown[]) => void, ...rest: unknown[]): Immediate =>
  setTimeout(() => callback(...rest), 0),
);
provide(globalThis, 'clearImmediate', (immediate: Immediate) => clearTimeout(immediate));

// The engine prints an error without its stack.
for (const level of ['debug', 'error', 'info', 'log', 'warn'] as const) {
  const native = console[level];
  console[level] = (...parts: unknown[]) =>
    native(...parts.map((value) => (value instanceof Error ? errorText(value) : value)));
}

for (const prototype of [Request.prototype, Response.prototype]) {
  Object.defineProperty(prototype, 'formData', {
    configurable: true,
    writable: true,
    value: createFormDataMethod(prototype.formData),
  });
}

/** The function's environment; empty while the component is built. */
export const environment = createEnvironment(() => (isInitializing() ? undefined : getEnvironment()));

// process.env reads this name.
provide(globalThis, '__env__', environment);

beginInitialization();
keepListeners();
