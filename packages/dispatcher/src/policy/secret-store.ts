import { readFileSync } from 'node:fs';
import { parse } from 'smol-toml';
import { ConfigError } from '../config/config-error.ts';

/** The secrets that the operator keeps for functions. */
export type SecretStore = {
  /** The value of a secret, where there is one and the function may have it. */
  find: (name: string, functionName: string) => string | undefined;
};

type Secret = { value: string; functions: readonly string[] };

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;

/** A store without secrets. */
export const NO_SECRETS: SecretStore = { find: () => undefined };

/**
 * Reads a file of secrets:
 *
 * ```toml
 * [STRIPE_KEY]
 * value = "sk_live_…"            # or: file = "/run/secrets/stripe"
 * functions = ["shop", "acme/*"] # a name, or all below a folder; "*" is every function
 * ```
 *
 * @throws {ConfigError} that names the file and the key, never a value.
 */
export function openSecretStore(file: string): SecretStore {
  let tables: Record<string, unknown>;
  try {
    tables = parse(readFileSync(file, 'utf8'));
  } catch (error) {
    // A parser shows the line that it did not understand, which may hold a secret.
    const code = (error as NodeJS.ErrnoException).code;
    throw new ConfigError(`the secrets in ${file} cannot be read: ${code ?? 'it is not TOML'}`);
  }
  const secrets = new Map(
    Object.entries(tables).map(([name, table]) => [name, readSecret(name, table, `${name} in ${file}`)]),
  );
  return {
    find: (name, functionName) => {
      const secret = secrets.get(name);
      return secret?.functions.some((pattern) => matches(pattern, functionName)) ? secret.value : undefined;
    },
  };
}

function readSecret(name: string, table: unknown, origin: string): Secret {
  if (!NAME.test(name)) throw new ConfigError(`${origin} is not the name of an environment variable`);
  if (typeof table !== 'object' || table === null) throw new ConfigError(`${origin} is not a table`);
  const { value, file, functions, ...others } = table as Record<string, unknown>;
  const unknown = Object.keys(others)[0];
  if (unknown !== undefined) throw new ConfigError(`unknown key ${unknown} of ${origin}`);
  if (!Array.isArray(functions) || functions.some((item) => typeof item !== 'string' || item === '')) {
    throw new ConfigError(`functions of ${origin} is not a list of names`);
  }
  if ((typeof value === 'string') === (typeof file === 'string')) {
    throw new ConfigError(`${origin} needs either value or file`);
  }
  return { value: typeof value === 'string' ? value : readValue(file as string, origin), functions };
}

function readValue(file: string, origin: string): string {
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw new ConfigError(`the file of ${origin} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}

function matches(pattern: string, functionName: string): boolean {
  return pattern.endsWith('*') ? functionName.startsWith(pattern.slice(0, -1)) : pattern === functionName;
}
