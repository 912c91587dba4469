import { ConfigError } from './config-error.ts';
import type { OptionKind } from './option-kind.ts';

const BYTE_UNITS: Record<string, number> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };
const TIME_UNITS: Record<string, number> = { '': 1, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/**
 * Checks one value, as text from a flag or the environment or typed from TOML.
 * @param origin where it stands, for the message: `--max-runners`, `PLAYA_MAX_RUNNERS`, `max-runners in playa.toml`
 * @throws {ConfigError}
 */
export function parseOptionValue(kind: OptionKind, value: unknown, origin: string): string | number | boolean {
  switch (kind.type) {
    case 'count':
      return parseNumber(value, { '': 1 }, kind, origin, 'a whole number');
    case 'bytes':
      return parseNumber(value, BYTE_UNITS, kind, origin, 'a number of bytes (such as 512k, 128m, 1g)');
    case 'milliseconds':
      return parseNumber(
        value,
        TIME_UNITS,
        kind,
        origin,
        'a time (such as 500ms, 30s, 5m; milliseconds without a unit)',
      );
    case 'switch':
      if (value === true || value === 'true' || value === '') return true;
      if (value === false || value === 'false') return false;
      throw new ConfigError(`${origin}: ${show(value)} is neither true nor false`);
    case 'choice':
      if (typeof value === 'string' && kind.choices.includes(value)) return value;
      throw new ConfigError(`${origin}: ${show(value)} is not one of ${kind.choices.join(', ')}`);
    case 'address':
      if (typeof value === 'string' && parseAddress(value) !== undefined) return value;
      throw new ConfigError(`${origin}: ${show(value)} is not HOST:PORT (such as 127.0.0.1:8080 or [::1]:0)`);
    case 'text':
    case 'path':
      if (typeof value === 'string' && value !== '' && !value.includes('\0')) return value;
      throw new ConfigError(`${origin}: ${show(value)} is not a text`);
  }
}

/** Splits `HOST:PORT`; an IPv6 address stands in brackets. `undefined` where it is neither. */
export function parseAddress(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) return undefined;
  return { host: (match[1] ?? match[2])!, port };
}

function parseNumber(
  value: unknown,
  units: Record<string, number>,
  range: { min: number; max: number },
  origin: string,
  what: string,
): number {
  const match = /^(\d[\d_]*)([a-z]*)$/i.exec(typeof value === 'number' ? String(value) : String(value).trim());
  const unit = units[(match?.[2] ?? '').toLowerCase()];
  const usable = typeof value === 'string' || typeof value === 'number';
  if (!usable || match === null || unit === undefined)
    throw new ConfigError(`${origin}: ${show(value)} is not ${what}`);
  const number = Number(match[1]!.replaceAll('_', '')) * unit;
  if (number < range.min || number > range.max) {
    throw new ConfigError(`${origin}: ${show(value)} is outside of ${range.min} … ${range.max}`);
  }
  return number;
}

function show(value: unknown): string {
  return typeof value === 'string' ? `"${value}"` : String(JSON.stringify(value));
}
