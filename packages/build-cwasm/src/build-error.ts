import type { ExitCode } from './exit-codes.ts';

/** Where in the user's sources something is wrong; line and column count from 1. */
export type SourceLocation = {
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
  /** A few lines of the source with a mark under the place. */
  readonly excerpt?: string;
};

/** What a BuildError carries beside its message. */
export type BuildErrorFacts = {
  /** What to do about it, one or two sentences. */
  readonly hint?: string;
  readonly location?: SourceLocation;
  /** Output of the tool that failed, for `--json` and the terminal. */
  readonly toolOutput?: string;
  readonly cause?: unknown;
};

/** An expected failure of a build: said in one message, without a stack. */
export class BuildError extends Error {
  override readonly name = 'BuildError';
  /** Which exit code the command ends with. */
  readonly exit: ExitCode;
  /** Stable name of the failure for programs, such as `no_handler`. */
  readonly code: string;
  readonly hint: string | undefined;
  readonly location: SourceLocation | undefined;
  readonly toolOutput: string | undefined;

  constructor(exit: ExitCode, code: string, message: string, facts: BuildErrorFacts = {}) {
    super(message, { cause: facts.cause });
    this.exit = exit;
    this.code = code;
    this.hint = facts.hint;
    this.location = facts.location;
    this.toolOutput = facts.toolOutput;
  }
}
