import { parse as parseTomlText } from 'smol-toml';
import { ConfigError } from '../config/config-error.ts';
import { keyOf } from '../config/option-names.ts';
import { parseOptionValue } from '../config/option-value.ts';
import { parseRule } from '../egress/rule.ts';
import { ISOLATIONS, type Isolation } from './isolation.ts';
import { LIMIT_NAMES, LIMITS, type Limits } from './limits.ts';
import type { PolicyRequest } from './policy.ts';

/** The longest policy file. */
export const MAX_POLICY_BYTES = 64 * 1024;

const MAX_VARIABLES = 256;
const MAX_VARIABLE_BYTES = 32 * 1024;
const MAX_RULES = 256;
const MAX_RULE_LENGTH = 300;
const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;

type Table = Record<string, unknown>;

/**
 * Reads a policy file, `<name>.toml`.
 * @throws {ConfigError} naming the key that is unknown or whose value is not allowed.
 */
export function parsePolicyFile(text: string): PolicyRequest {
  let table: Table;
  try {
    table = parseTomlText(text);
  } catch (error) {
    // The parser's message shows the place over several lines; the first says what is wrong.
    throw new ConfigError(`it is not TOML: ${(error as Error).message.split('\n', 1)[0]}`, { cause: error });
  }
  return parsePolicy(table);
}

/**
 * Checks a policy that was read from a file or stands in an artifact's manifest. docs/policy.md describes the keys.
 * @throws {ConfigError} naming the key that is unknown or whose value is not allowed.
 */
export function parsePolicy(table: Table): PolicyRequest {
  refuseUnknown(table, ['isolation', 'limits', 'env', 'secrets', 'net'], '');
  const net = asTable(table['net'], 'net');
  refuseUnknown(net, ['allow'], 'net.');
  const isolation = table['isolation'];
  if (isolation !== undefined && !ISOLATIONS.includes(isolation as Isolation)) {
    throw new ConfigError(`isolation is not one of ${ISOLATIONS.join(', ')}`);
  }
  return {
    limits: parseLimits(asTable(table['limits'], 'limits')),
    ...(isolation === undefined ? {} : { isolation: isolation as Isolation }),
    env: parseVariables(asTable(table['env'], 'env')),
    secrets: parseSecrets(table['secrets']),
    ...(net['allow'] === undefined ? {} : { netAllow: parseRules(net['allow']) }),
  };
}

function parseLimits(table: Table): Partial<Limits> {
  const byKey = new Map(LIMIT_NAMES.map((name) => [keyOf(name), name]));
  const limits: { -readonly [Name in keyof Limits]?: number } = {};
  for (const [key, value] of Object.entries(table)) {
    const name = byKey.get(key);
    if (name === undefined) throw new ConfigError(`unknown key limits.${key}; docs/limits.md lists all`);
    limits[name] = parseOptionValue(LIMITS[name].kind, value, `limits.${key}`) as number;
  }
  return limits;
}

function parseVariables(table: Table): [string, string][] {
  const variables = Object.entries(table).map(([name, value]): [string, string] => {
    if (!VARIABLE_NAME.test(name)) throw new ConfigError(`env: ${quote(name)} is not the name of a variable`);
    if (typeof value !== 'string' || value.includes('\0')) throw new ConfigError(`env.${name} is not a text`);
    return [name, value];
  });
  const bytes = variables.reduce((sum, [name, value]) => sum + name.length + Buffer.byteLength(value), 0);
  if (variables.length > MAX_VARIABLES || bytes > MAX_VARIABLE_BYTES) {
    throw new ConfigError(`env holds more than ${MAX_VARIABLES} variables or ${MAX_VARIABLE_BYTES} bytes`);
  }
  return variables;
}

function parseSecrets(value: unknown): string[] {
  const names = asTexts(value ?? [], 'secrets', MAX_VARIABLES);
  const bad = names.find((name) => !VARIABLE_NAME.test(name));
  if (bad !== undefined) throw new ConfigError(`secrets: ${quote(bad)} is not the name of a secret`);
  return names;
}

function parseRules(value: unknown): string[] {
  const rules = asTexts(value, 'net.allow', MAX_RULES);
  if (rules.some((rule) => rule === '' || rule.length > MAX_RULE_LENGTH)) {
    throw new ConfigError(`net.allow: a rule is empty or longer than ${MAX_RULE_LENGTH} characters`);
  }
  for (const rule of rules) {
    try {
      parseRule(rule, false);
    } catch (error) {
      throw new ConfigError(`net.allow: ${(error as Error).message}`, { cause: error });
    }
  }
  return rules;
}

function asTexts(value: unknown, key: string, most: number): string[] {
  if (!Array.isArray(value) || value.some((item) => typeof item !== 'string')) {
    throw new ConfigError(`${key} is not a list of texts`);
  }
  if (value.length > most) throw new ConfigError(`${key} holds more than ${most} entries`);
  return value as string[];
}

function asTable(value: unknown, key: string): Table {
  if (value === undefined) return {};
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)) {
    return value as Table;
  }
  throw new ConfigError(`${key} is not a table`);
}

function refuseUnknown(table: Table, known: readonly string[], prefix: string): void {
  const unknown = Object.keys(table).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    throw new ConfigError(
      `unknown key ${prefix}${quote(unknown)}; the keys there are ${known.map((key) => prefix + key).join(', ')}`,
    );
  }
}

/** What a stranger wrote, bounded and on one line. */
function quote(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}
