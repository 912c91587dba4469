/**
 * A reason why set-up cannot go on, in words for the person who started it: what, why, and how to mend it.
 */
export class SetupFailure extends Error {
  /**
   * @param {string} message what went wrong and why, in one sentence
   * @param {object} [details]
   * @param {string} [details.remedy] what to do; may have several lines
   * @param {string[]} [details.output] the last lines that the failing tool printed
   * @param {string} [details.logFile] where the whole output is
   * @param {unknown} [details.cause] the error underneath
   */
  constructor(message, details = {}) {
    super(message, { cause: details.cause });
    this.name = 'SetupFailure';
    this.remedy = details.remedy ?? '';
    this.output = details.output ?? [];
    this.logFile = details.logFile ?? '';
  }
}

/**
 * The lines to print for an error: message, the tool's last output, where the rest is, and what to do.
 * An error that set-up did not foresee is printed with its stack, as it is a defect of set-up itself.
 * @param {unknown} error
 * @returns {string[]}
 */
export function describeFailure(error) {
  if (!(error instanceof SetupFailure)) {
    return [error instanceof Error ? (error.stack ?? error.message) : String(error)];
  }
  const lines = [error.message];
  if (error.output.length > 0) {
    lines.push('', ...error.output.map((line) => `    ${line}`), '');
  }
  if (error.logFile !== '') {
    lines.push(`whole output: ${error.logFile}`);
  }
  if (error.remedy !== '') {
    lines.push(
      ...error.remedy.split('\n').map((line, index) => (index === 0 ? `what to do: ${line}` : `            ${line}`)),
    );
  }
  return lines;
}
