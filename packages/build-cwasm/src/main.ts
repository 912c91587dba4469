import { styleText } from 'node:util';
import { ArtifactError } from '@playa/common/artifact-error';
import { KeyStoreError } from '@playa/common/public-key';
import { BuildError } from './build-error.ts';
import { BUILD_CWASM_VERSION } from './builder.ts';
import { EXIT_CODES } from './exit-codes.ts';
import { helpText } from './help.ts';
import { parseOptions } from './options.ts';
import type { Terminal } from './terminal.ts';

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () =>
    interrupted.abort(new BuildError('interrupted', 'interrupted', `interrupted by ${signal}`)),
  );
}

process.exitCode = await run(process.argv.slice(2), process, interrupted.signal);

/** Runs a command line and returns its exit code. */
async function run(args: readonly string[], terminal: Terminal, signal: AbortSignal): Promise<number> {
  try {
    await dispatch(args, terminal, signal);
    return EXIT_CODES.ok.code;
  } catch (error) {
    const failure = asBuildError(error);
    const inspected = failure.code === 'artifact_refused';
    // inspect has said it already, together with the manifest.
    if (!inspected) report(failure, error, args.includes('--json'), terminal);
    return EXIT_CODES[failure.exit].code;
  }
}

async function dispatch(args: readonly string[], terminal: Terminal, signal: AbortSignal): Promise<void> {
  if (args.length === 0)
    throw new BuildError('usage', 'usage', 'name the source to build', { hint: 'See: build-cwasm --help' });
  if (args[0] === 'inspect') {
    const { INSPECT_OPTIONS, runInspect } = await import('./commands/inspect.ts');
    const options = parseOptions(args.slice(1), INSPECT_OPTIONS);
    if (options.isSet('help')) terminal.stdout.write(await helpText());
    else await runInspect(options, terminal);
    return;
  }
  // Loaded when needed: the bundler alone takes longer than an inspection.
  const { BUILD_OPTIONS, runBuild } = await import('./commands/build.ts');
  const options = parseOptions(args, BUILD_OPTIONS);
  if (options.isSet('help')) terminal.stdout.write(await helpText());
  else if (options.isSet('version')) terminal.stdout.write(`build-cwasm ${BUILD_CWASM_VERSION}\n`);
  else await runBuild(options, terminal, signal);
}

function asBuildError(error: unknown): BuildError {
  if (error instanceof BuildError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof KeyStoreError) return new BuildError('keys', 'key_store', message, { cause: error });
  if (error instanceof ArtifactError) return new BuildError('refused', error.reason, message, { cause: error });
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new BuildError('output', 'disk_full', 'the disk is full', {
      hint: 'Make room, or set TMPDIR to another disk.',
      cause: error,
    });
  }
  return new BuildError('internal', 'internal', message, { cause: error });
}

function report(failure: BuildError, thrown: unknown, json: boolean, terminal: Terminal): void {
  const { code, message, hint, location, toolOutput } = failure;
  if (json) {
    terminal.stdout.write(
      `${JSON.stringify({ ok: false, error: { code, exit: failure.exit, message, hint, location, toolOutput } })}\n`,
    );
    return;
  }
  const lines = [`${styleText('red', 'error:', { stream: process.stderr })} ${message}`];
  if (location !== undefined) {
    const { file, line, column, excerpt } = location;
    lines.push(`  at ${[file, line, column].filter((part) => part !== undefined).join(':')}`);
    if (excerpt !== undefined) lines.push('', excerpt, '');
  }
  if (hint !== undefined) lines.push(hint);
  if (failure.exit === 'toolchain' && toolOutput !== undefined) lines.push('', toolOutput);
  // A stack is of use only where the fault is our own.
  if (failure.exit === 'internal' && thrown instanceof Error && thrown.stack !== undefined) lines.push(thrown.stack);
  terminal.stderr.write(`${lines.join('\n')}\n`);
}
