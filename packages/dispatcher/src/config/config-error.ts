/** The configuration cannot be used: the message names the place, what is wrong and what is allowed. Ends the start. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}
