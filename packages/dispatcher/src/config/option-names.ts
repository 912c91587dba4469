import { OPTIONS, type OptionName } from './options.ts';

const words = (name: string): string[] => name.split(/(?=[A-Z])/).map((word) => word.toLowerCase());

/** `maxRunners` → `--max-runners`. */
export function flagOf(name: OptionName): string {
  return `--${words(name).join('-')}`;
}

/** `maxRunners` → `PLAYA_MAX_RUNNERS`. */
export function variableOf(name: OptionName): string {
  return `PLAYA_${words(name).join('_').toUpperCase()}`;
}

/** `maxRunners` → `max-runners`, the key in `playa.toml`. */
export function keyOf(name: OptionName): string {
  return words(name).join('-');
}

/** All options, in the schema's order. */
export const OPTION_NAMES = Object.keys(OPTIONS) as OptionName[];
