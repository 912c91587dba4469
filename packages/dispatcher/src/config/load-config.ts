import { readFileSync } from 'node:fs';
import { parse } from 'smol-toml';
import { ConfigError } from './config-error.ts';
import { flagOf, keyOf, OPTION_NAMES, variableOf } from './option-names.ts';
import { parseOptionValue } from './option-value.ts';
import { capName, LIMIT_NAMES } from '../policy/limits.ts';
import { OPTIONS, type Config, type Option, type OptionName } from './options.ts';

/** Read where no `--config` is given and it exists. */
export const CONFIG_FILE = 'playa.toml';

/** Variables of the same prefix that other commands read. */
const OTHER_VARIABLES = new Set(['PLAYA_WASMTIME', 'PLAYA_PEER_WASMTIME']);

/**
 * Puts the configuration together: a flag wins over the environment, that over the file, that over the default.
 *
 * Besides the schema's flags there are `--config FILE` (must exist) and `--no-config` (reads no file).
 *
 * @throws {ConfigError} for a flag, variable or key that is not known, and for a value that is not allowed.
 */
export function loadConfig(args: readonly string[], env: NodeJS.ProcessEnv): Config {
  const flags = readFlags(args);
  const variables = readVariables(env);
  const keys = flags.noConfig ? new Map() : readFile(flags.config);
  const config: Partial<Record<OptionName, string | number | boolean>> = {};
  for (const name of OPTION_NAMES) {
    const given = flags.values.get(name) ?? variables.get(name) ?? keys.get(name);
    config[name] = given ?? OPTIONS[name].fallback(env);
  }
  fitCaps(config as Config, (name) => flags.values.has(name) || variables.has(name) || keys.has(name));
  return config as Config;
}

/** A cap is never below the server's own value: where it was not set it follows, where it was, one of the two is a mistake. */
function fitCaps(config: Config, isGiven: (name: OptionName) => boolean): void {
  for (const name of LIMIT_NAMES) {
    const cap = capName(name);
    if (config[cap] >= config[name]) continue;
    if (isGiven(cap)) {
      const values = `${keyOf(name)} is ${config[name]}, and its cap ${keyOf(cap)} is ${config[cap]}`;
      throw new ConfigError(`${values}; raise the cap, or lower the limit`);
    }
    config[cap] = config[name];
  }
}

type Values = Map<OptionName, string | number | boolean>;

function readFlags(args: readonly string[]): { values: Values; config: string | undefined; noConfig: boolean } {
  const byFlag = new Map(OPTION_NAMES.map((name) => [flagOf(name), name]));
  const values: Values = new Map();
  let config: string | undefined;
  let noConfig = false;
  for (let i = 0; i < args.length; i++) {
    const argument = args[i]!;
    if (argument === '--no-config') {
      noConfig = true;
      continue;
    }
    const equals = argument.indexOf('=');
    const flag = equals < 0 ? argument : argument.slice(0, equals);
    const name = byFlag.get(flag);
    if (name === undefined && flag !== '--config') {
      throw new ConfigError(`unknown argument ${argument}; playa serve --help lists all options`);
    }
    const option: Option | undefined = name === undefined ? undefined : OPTIONS[name];
    const isSwitch = option?.kind.type === 'switch';
    const value = equals >= 0 ? argument.slice(equals + 1) : isSwitch ? '' : args[++i];
    if (value === undefined) throw new ConfigError(`${flag} needs a value`);
    if (name === undefined || option === undefined) config = value;
    else if (values.has(name)) throw new ConfigError(`${flag} is given twice`);
    else values.set(name, parseOptionValue(option.kind, value, flag));
  }
  return { values, config, noConfig };
}

function readVariables(env: NodeJS.ProcessEnv): Values {
  const byVariable = new Map(OPTION_NAMES.map((name) => [variableOf(name), name]));
  const values: Values = new Map();
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith('PLAYA_') || OTHER_VARIABLES.has(variable) || value === undefined) continue;
    const name = byVariable.get(variable);
    if (name === undefined)
      throw new ConfigError(`unknown environment variable ${variable}; docs/configuration.md lists all`);
    values.set(name, parseOptionValue(OPTIONS[name].kind, value, variable));
  }
  return values;
}

function readFile(path: string | undefined): Values {
  const values: Values = new Map();
  let text: string;
  try {
    text = readFileSync(path ?? CONFIG_FILE, 'utf8');
  } catch (error) {
    if (path === undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') return values;
    throw new ConfigError(`${path ?? CONFIG_FILE} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  const file = path ?? CONFIG_FILE;
  const byKey = new Map(OPTION_NAMES.map((name) => [keyOf(name), name]));
  for (const [key, value] of Object.entries(parseToml(text, file))) {
    const name = byKey.get(key);
    if (name === undefined) throw new ConfigError(`unknown key ${key} in ${file}; docs/configuration.md lists all`);
    values.set(name, parseOptionValue(OPTIONS[name].kind, value, `${key} in ${file}`));
  }
  return values;
}

function parseToml(text: string, file: string): Record<string, unknown> {
  try {
    return parse(text);
  } catch (error) {
    throw new ConfigError(`${file} is not TOML: ${(error as Error).message}`, { cause: error });
  }
}
