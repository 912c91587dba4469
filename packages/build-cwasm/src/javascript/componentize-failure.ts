import { relative } from 'node:path';
import type { SourceLocation } from '../build-error.ts';
import { BuildError } from '../build-error.ts';
import type { ToolReport } from '../run-tool.ts';
import type { Bundle } from './bundle.ts';
import { BUNDLE_NAME } from './bundle.ts';
import { excerptOf } from '../excerpt.ts';
import { originalPlace, stackPlaces } from './source-map.ts';

const TOP_LEVEL_HINT =
  'Top-level code runs once, when the function is built. Move the call into the handler, or into a function that the handler calls.';
const HANDLER_HINT =
  'Write one of: export default { fetch(request, env, ctx) { … } }, export default function (request, env, ctx) { … }, or addEventListener("fetch", …).';
const MEMORY_HINT =
  'Building a JavaScript function takes about 1 GB of memory: build on a machine with more, or one function at a time.';

/** Turns what the component tool says into a BuildError that names the cause in the user's words. */
export function componentizeFailure(report: ToolReport & { ok: false }, bundle: Bundle, timeoutMs: number): BuildError {
  const toolOutput = report.message;
  if (report.reason === 'timeout') {
    return new BuildError(
      'source',
      'top_level_timeout',
      `the function's top-level code did not end within ${timeoutMs / 1000} s`,
      {
        hint: 'Look for an endless loop outside the handler; on a very slow machine, try again when nothing else runs.',
        toolOutput,
      },
    );
  }
  if (/ENOSPC|No space left on device/.test(toolOutput)) {
    return new BuildError('output', 'disk_full', 'the disk of the folder for temporary files is full', { toolOutput });
  }
  const thrown = /Exception while evaluating top-level script\n(?:\S*:\d+:\d+ )?(.*)/.exec(toolOutput)?.[1];
  if (thrown !== undefined) return topLevelException(thrown, toolOutput, bundle);
  const unknownImport = /attempted to call an unknown imported function: '([^']+)' '([^']+)'/.exec(toolOutput);
  if (unknownImport !== null) {
    const message = `the function's top-level code uses ${unknownImport[1]}, which is there only during a request`;
    return new BuildError('source', 'top_level_call', message, { hint: TOP_LEVEL_HINT, toolOutput });
  }
  if (/SIGKILL|allocation failed|out of memory/i.test(toolOutput)) {
    return new BuildError('toolchain', 'out_of_memory', 'making the component ran out of memory', {
      hint: MEMORY_HINT,
      toolOutput,
    });
  }
  return new BuildError('toolchain', 'componentize_failed', 'the component could not be made', {
    hint: 'The output of the tool follows. A call at the top level of a module is the most frequent cause.',
    toolOutput,
  });
}

/** The component was made, but its modules were not evaluated to their end. */
export function neverInitialized(toolOutput: string): BuildError {
  return new BuildError('source', 'top_level_await', 'a top-level await never came to its end', {
    hint: 'While a function is built there is no network, no timer and no request to wait for. Await inside the handler.',
    toolOutput,
  });
}

function topLevelException(thrown: string, toolOutput: string, bundle: Bundle): BuildError {
  const location = locate(toolOutput, bundle);
  const facts = { toolOutput, ...(location === undefined ? {} : { location }) };
  const exported = /playa:no-handler (.*)/.exec(thrown)?.[1];
  if (exported !== undefined) {
    const message = `the module has no handler: it exports ${exported}, and adds no listener for "fetch"`;
    return new BuildError('source', 'no_handler', message, { hint: HANDLER_HINT });
  }
  const called = /(\S+) can only be used during request handling/.exec(thrown)?.[1];
  if (called !== undefined) {
    const message = `${called} is called at the top level of a module; it can only be used while a request is handled`;
    return new BuildError('source', 'top_level_call', message, { ...facts, hint: TOP_LEVEL_HINT });
  }
  const message = `the function's top-level code threw ${thrown}`;
  if (thrown.includes('in regular expression')) {
    const hint =
      'The engine reads no \\p{…} and no flag v. Literals are rewritten while building, patterns in strings cannot be: use a literal.';
    return new BuildError('source', 'top_level_error', message, { ...facts, hint });
  }
  if (/^ReferenceError: \S+ is not defined/.test(thrown)) {
    const hint = 'See docs/writing-a-function.md for what the engine has and lacks.';
    return new BuildError('source', 'top_level_error', message, { ...facts, hint });
  }
  return new BuildError('source', 'top_level_error', message, facts);
}

/** The innermost place of the stack that lies in the user's own files, else in a package. */
function locate(toolOutput: string, bundle: Bundle): SourceLocation | undefined {
  const places = stackPlaces(toolOutput, BUNDLE_NAME)
    .map(({ line, column }) => originalPlace(bundle, line, column))
    .filter((place) => place !== undefined)
    .filter(({ file }) => !file.startsWith(import.meta.dirname));
  const place = places.find(({ file }) => !file.includes('/node_modules/')) ?? places[0];
  if (place === undefined) return undefined;
  const excerpt = excerptOf(place.file, place.line, place.column);
  const file = relative(process.cwd(), place.file) || place.file;
  return { file, line: place.line, column: place.column, ...(excerpt === undefined ? {} : { excerpt }) };
}
