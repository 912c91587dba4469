/** Exit codes of build-cwasm: one table, from which `--help` and the documentation are written. */
export const EXIT_CODES = {
  ok: { code: 0, meaning: 'done' },
  internal: { code: 1, meaning: 'a fault of build-cwasm itself' },
  usage: { code: 2, meaning: 'unknown option, missing argument, or a value that is not allowed' },
  source: { code: 3, meaning: 'the source cannot be built: missing, damaged, does not compile, or has no handler' },
  toolchain: { code: 4, meaning: 'no wasmtime of the right version, or a tool that failed' },
  output: { code: 5, meaning: 'the output cannot be written' },
  refused: { code: 6, meaning: 'inspect: not an artifact, or its signature does not hold' },
  keys: { code: 7, meaning: 'the key store cannot be used' },
  interrupted: { code: 130, meaning: 'interrupted' },
} as const;

export type ExitCode = keyof typeof EXIT_CODES;
